// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "dial/failure.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"

namespace websockets {

class Loop;

// The owner of connect attempts, of which one call comes. The calls throw nothing.
class ConnectAttemptsOwner {
 public:
  virtual void on_connected(UniqueFd fd) = 0;
  virtual void on_connect_failed(Failure failure) = 0;

 protected:
  ~ConnectAttemptsOwner() = default;
};

// Connects to the first of several addresses that answers (RFC 8305 5): the next one is tried as soon as one has
// failed, and when all have kept silent for a while; those that were tried before may answer still. It has no deadline.
// To be disposed of by Loop::dispose(), once it was aborted or has told its owner.
class ConnectAttempts final : private Timer {
 public:
  ConnectAttempts(Loop& loop, ConnectAttemptsOwner& owner);
  ~ConnectAttempts();
  ConnectAttempts(const ConnectAttempts&) = delete;
  ConnectAttempts& operator=(const ConnectAttempts&) = delete;

  // Once, in a round. `addresses`: not empty, in the order of interleave_families(). `name`: how messages call what is
  // connected to. `interface`: as for interface_addresses(), where it shall come from; "": anywhere. May call the
  // owner. Throws std::bad_alloc.
  void start(std::string name, std::vector<SocketAddress> addresses, const std::string& interface);
  // Closes everything. Calls nobody.
  void abort();
  // The address that was tried last, or the one that has answered; "": none was.
  std::string address() const;

  static constexpr std::uint64_t kAttemptDelayMs = 250;  // RFC 8305 5: Connection Attempt Delay

 private:
  class Attempt;
  enum class Outcome { kPending, kConnected, kFailed };

  void on_timeout() override;
  void on_ready(Attempt& attempt);
  void go_on(Attempt* ready);
  Outcome finish(Attempt& attempt);
  Outcome try_next();
  Outcome begin(const SocketAddress& address);
  const SocketAddress* source_for(const SocketAddress& address) const;
  bool can_come_from_here(const SocketAddress& address) const;
  void note_failure(const SocketAddress& address, int error);
  void describe_failures();

  Loop& loop_;
  ConnectAttemptsOwner& owner_;
  std::string name_;
  std::vector<SocketAddress> addresses_;
  std::vector<SocketAddress> sources_;  // empty: any
  std::size_t next_ = 0;                // of addresses_
  std::size_t pending_ = 0;
  std::vector<std::unique_ptr<Attempt>> attempts_;  // also those that have failed: a round may have them in hand
  const SocketAddress* latest_ = nullptr;
  UniqueFd connected_;
  Failure failure_;
  std::string failures_;  // of each address
  bool is_over_ = false;
};

}  // namespace websockets
