// SPDX-License-Identifier: MIT
#pragma once

#include "base/unique_fd.h"
#include "loop/watcher.h"
#include "net/driver.h"
#include "net/listener.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"

namespace websockets {

class Context;

// Takes new connections from one listening socket and hands them to the context. When the process may open no more
// descriptors, the clients that wait are turned away, so that the listener does not stay readable for ever.
class Acceptor final : public Pollable, public Timer {
 public:
  Acceptor(Context& context, Listener listener);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  bool start();
  void stop();
  // Another process has it now.
  void abandon();
  // Watches again in an own loop that was made later.
  bool restart(Watcher& watcher) { return !watched_ || watcher.watch_in_own_loop(*this, kReadable); }
  // Whether the last on_ready() could not accept somebody who was waiting.
  bool failed() const { return failed_; }
  const SocketAddress& address() const { return address_; }
  void on_ready(unsigned events) override;
  void on_timeout() override;

 private:
  void accept_batch();
  bool turn_one_away();
  void pause(std::uint64_t pause_ms);

  Context& context_;
  UniqueFd listener_;
  SocketFile file_;
  UniqueFd spare_;  // given up to accept and close one connection
  SocketAddress address_;
  bool watched_ = false;
  bool failed_ = false;
};

}  // namespace websockets
