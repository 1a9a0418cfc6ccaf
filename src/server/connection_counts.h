// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "net/socket_address.h"

namespace websockets {

// Whether one more connection may come.
enum class Admission : std::uint8_t { kAdmitted, kTooMany, kTooManyOfAddress };

// How many connections a context has, in all and of each address: see PeerAddress::network(). A limit of 0 is none;
// without one of addresses nothing is kept of them. Peers without an address (unix sockets) only count in all.
class ConnectionCounts {
 public:
  ConnectionCounts(std::size_t most, std::size_t most_of_address) : most_(most), most_of_address_(most_of_address) {}

  Admission ask(const PeerAddress& peer) const;
  // Counts it if it is admitted; leave() has to follow. Throws std::bad_alloc.
  Admission admit(const PeerAddress& peer);
  void leave(const PeerAddress& peer);

  // Whether one that is not admitted may be told so, which takes a connection, too; end_refusal() has to follow then.
  bool begin_refusal();
  void end_refusal() { --refused_; }

  std::size_t total() const { return total_; }

 private:
  // 0: its address does not count.
  std::uint64_t key(const PeerAddress& peer) const { return most_of_address_ == 0 ? 0 : peer.network(); }

  std::size_t most_;
  std::size_t most_of_address_;
  std::size_t total_ = 0;
  std::size_t refused_ = 0;
  std::map<std::uint64_t, std::size_t> of_address_;  // ordered: a client may choose its networks by their hashes
};

}  // namespace websockets
