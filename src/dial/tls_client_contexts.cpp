// SPDX-License-Identifier: MIT
#include "dial/tls_client_contexts.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace websockets {

class TlsClientContexts::Load final : public BackgroundTask {
 public:
  Load(TlsClientOptions options, TlsClientContexts& owner, Entry& entry)
      : options_(std::move(options)), owner_(owner), entry_(entry), made_(Error{"not made", EAGAIN}) {
    // Registers what exit() calls, as delays_exit() wants; with no option it does nothing.
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CRYPTO_STRINGS, nullptr);
  }
  void run() noexcept override {
    try {
      made_ = TlsClientContext::create(options_);
    } catch (const std::bad_alloc&) {
      made_ = Error{"out of memory", ENOMEM};
    }
    // The thread would free what OpenSSL keeps for it as it ends, when exit() does not wait for it any more.
    OPENSSL_thread_stop();
  }
  // OpenSSL is taken down by exit().
  bool delays_exit() const override { return true; }
  void on_done(bool has_run) override {
    if (has_run) return owner_.on_loaded(entry_, std::move(made_));
    owner_.on_loaded(entry_, Error{"TLS was lost by a fork", EAGAIN});
  }

 private:
  const TlsClientOptions options_;
  TlsClientContexts& owner_;
  Entry& entry_;
  Result<std::shared_ptr<TlsClientContext>> made_;
};

class TlsClientContexts::Entry {
 public:
  explicit Entry(TlsClientOptions its_options) : options(std::move(its_options)) {}
  bool is_unused() const { return context != nullptr && context.use_count() == 1; }

  const TlsClientOptions options;
  std::shared_ptr<Load> load;
  std::shared_ptr<TlsClientContext> context;  // null: it is being made
};

TlsClientContexts::TlsClientContexts(BackgroundTasks& tasks) : tasks_(tasks) {}

TlsClientContexts::~TlsClientContexts() {
  for (const auto& entry : entries_) {
    if (entry->load != nullptr) tasks_.cancel(*entry->load);
  }
}

Result<std::shared_ptr<TlsClientContext>> TlsClientContexts::get(const TlsClientOptions& options,
                                                                 TlsContextWaiter& waiter) {
  auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry->options == options; });
  if (found == entries_.end()) {
    remove_unused();
    Entries one;
    found = one.insert(one.end(), std::make_shared<Entry>(options));
    (*found)->load = std::make_shared<Load>(options, *this, **found);
    if (Error error = tasks_.start((*found)->load)) return error;
    entries_.splice(entries_.end(), one);
  } else {
    entries_.splice(entries_.end(), entries_, found);
  }
  const Entry& entry = **found;
  if (entry.context == nullptr) {
    waiter.awaited = &entry;
    waiters_.push_back(waiter);
  }
  return entry.context;
}

void TlsClientContexts::cancel(TlsContextWaiter& waiter) {
  if (std::exchange(waiter.awaited, nullptr) != nullptr) waiters_.remove(waiter);
}

void TlsClientContexts::forget(const TlsClientContext& context) {
  std::erase_if(entries_, [&](const auto& entry) { return entry->context.get() == &context; });
}

// An error is not kept: what was missing may be there the next time.
void TlsClientContexts::on_loaded(Entry& entry, Result<std::shared_ptr<TlsClientContext>> context) {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [&](const auto& one) { return one.get() == &entry; });
  const std::shared_ptr<Entry> keep = *at;
  entry.load = nullptr;
  if (context) {
    entry.context = *context;
  } else {
    entries_.erase(at);
  }
  while (TlsContextWaiter* const waiter = find_waiter(entry)) {
    cancel(*waiter);
    waiter->on_tls_context(context);
  }
}

TlsContextWaiter* TlsClientContexts::find_waiter(const Entry& entry) const {
  TlsContextWaiter* waiter = waiters_.first();
  while (waiter != nullptr && waiter->awaited != &entry) waiter = waiters_.next(*waiter);
  return waiter;
}

void TlsClientContexts::remove_unused() {
  std::size_t unused = static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) { return entry->is_unused(); }));
  for (auto at = entries_.begin(); at != entries_.end() && unused >= kMostUnused;) {
    const bool goes = (*at)->is_unused();
    if (goes) --unused;
    at = goes ? entries_.erase(at) : std::next(at);
  }
}

}  // namespace websockets
