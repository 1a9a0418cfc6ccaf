// SPDX-License-Identifier: MIT
#pragma once

#include "base/unique_fd.h"
#include "net/driver.h"
#include "net/listener.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"

namespace websockets {

class Loop;

// The owner of an acceptor, which gets the connections.
class AcceptorOwner {
 public:
  // Throws std::bad_alloc.
  virtual void on_accepted(UniqueFd fd, const SocketAddress& peer) = 0;
  // The process may open no more descriptors: a client was closed at once.
  virtual void on_turned_away() = 0;
  // Of a listener that other processes accept from, too: whether they are to take the next clients.
  virtual bool has_more_than_others() const = 0;

 protected:
  ~AcceptorOwner() = default;
};

// Takes new connections from one listening socket and hands them to its owner. When the process may open no more
// descriptors, the clients that wait are turned away, so that the listener does not stay readable for ever.
class Acceptor final : public Pollable, public Timer {
 public:
  Acceptor(Loop& loop, AcceptorOwner& owner, Listener listener);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Where other processes accept from it, too, it is shared.
  bool start(bool is_shared = false);
  // Accepts nobody until start(), but listens still.
  void suspend();
  void stop();
  // Another process has it now.
  void abandon();
  // The same, but it is this one's, too.
  void share_file() { listener_.file.leave(); }
  // No other process has it any more.
  void own_file() { listener_.file.own(); }
  const Listener& listener() const { return listener_; }
  // Whether the last on_ready() could not accept somebody who was waiting.
  bool failed() const { return failed_; }
  const SocketAddress& address() const { return address_; }
  void on_ready(unsigned events) override;
  void on_timeout() override;

 private:
  void accept_batch();
  bool turn_one_away();
  void pause(std::uint64_t pause_ms);

  Loop& loop_;
  AcceptorOwner& owner_;
  Listener listener_;
  UniqueFd spare_;  // given up to accept and close one connection
  SocketAddress address_;
  bool watched_ = false;
  bool failed_ = false;
};

}  // namespace websockets
