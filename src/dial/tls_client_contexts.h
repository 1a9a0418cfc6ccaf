// SPDX-License-Identifier: MIT
#pragma once

#include <list>
#include <memory>

#include "base/intrusive.h"
#include "base/result.h"
#include "loop/background_tasks.h"
#include "net/tls_client_context.h"

namespace websockets {

// Waits for a context. The call throws nothing, and may do anything.
class TlsContextWaiter {
 public:
  virtual void on_tls_context(Result<std::shared_ptr<TlsClientContext>> context) = 0;

  // For TlsClientContexts.
  ListLink<TlsContextWaiter> link;
  const void* awaited = nullptr;

 protected:
  ~TlsContextWaiter() = default;
};

// What the clients of one loop have in common who have the same options: their context, which a thread has made. One
// that nobody uses is kept for the next client, but not many of them.
class TlsClientContexts {
 public:
  explicit TlsClientContexts(BackgroundTasks& tasks);
  // Outside of rounds, and when nobody waits any more.
  ~TlsClientContexts();
  TlsClientContexts(const TlsClientContexts&) = delete;
  TlsClientContexts& operator=(const TlsClientContexts&) = delete;

  // The context, if it is there. Null: `waiter` is told later, once, unless it is cancelled. Error: it cannot be made.
  // Throws std::bad_alloc.
  Result<std::shared_ptr<TlsClientContext>> get(const TlsClientOptions& options, TlsContextWaiter& waiter);
  void cancel(TlsContextWaiter& waiter);
  // The files that it was made of may have changed: the next client gets another one.
  void forget(const TlsClientContext& context);
  std::size_t size() const { return entries_.size(); }

  static constexpr std::size_t kMostUnused = 16;

 private:
  class Entry;
  class Load;
  using Entries = std::list<std::shared_ptr<Entry>>;

  void on_loaded(Entry& entry, Result<std::shared_ptr<TlsClientContext>> context);
  void remove_unused();
  TlsContextWaiter* find_waiter(const Entry& entry) const;

  BackgroundTasks& tasks_;
  Entries entries_;  // the one that was asked for last is the last one
  IntrusiveList<TlsContextWaiter, &TlsContextWaiter::link> waiters_;
};

}  // namespace websockets
