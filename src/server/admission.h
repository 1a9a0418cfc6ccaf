// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "net/address_list.h"
#include "net/socket_address.h"

namespace websockets {

// Whether one more connection may come.
enum class AdmissionVerdict : std::uint8_t { kAdmitted, kTooMany, kTooManyOfAddress };

// How many connections a server has, in all and of each address: see PeerAddress::network(). A limit of 0 is none;
// without one of addresses nothing is kept of them. Peers without an address (unix sockets) and proxies, who speak for
// many, only count in all. Outlives its tickets.
class Admission {
  // Connections that are counted together.
  struct Group {
    Group(Admission& owner, std::uint64_t number) : admission(owner), key(number) {}
    Admission& admission;
    std::uint64_t key;
    std::size_t count = 0;
  };

 public:
  // `proxies` has to stay.
  Admission(std::size_t most, std::size_t most_of_address, const AddressList& proxies)
      : most_(most), most_of_address_(most_of_address), proxies_(proxies) {}
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // The place that a connection takes, until this is destroyed or gets the place of another one.
  class Ticket {
   public:
    Ticket() = default;
    explicit Ticket(Group& group) : group_(&group) { ++group.count; }
    Ticket(Ticket&& other) noexcept : group_(std::exchange(other.group_, nullptr)) {}
    Ticket& operator=(Ticket other) noexcept {
      std::swap(group_, other.group_);
      return *this;
    }
    ~Ticket() {
      if (group_ != nullptr) group_->admission.leave(*group_);
    }
    // Whether there is a place for it.
    explicit operator bool() const { return group_ != nullptr; }

   private:
    Group* group_ = nullptr;
  };

  AdmissionVerdict check(const PeerAddress& peer) const;
  // Without a place: it is not admitted, as check() says. Throws std::bad_alloc.
  Ticket admit(const PeerAddress& peer);
  // For one that is not admitted, while it is told so, which takes a connection, too. Without a place: there are too
  // many of these.
  Ticket admit_refused();

  std::size_t total() const { return total_; }

 private:
  // 0: its address does not count.
  std::uint64_t key(const PeerAddress& peer) const {
    return most_of_address_ == 0 || proxies_.contains(peer) ? 0 : peer.network();
  }
  void leave(Group& group);

  std::size_t most_;
  std::size_t most_of_address_;
  const AddressList& proxies_;
  std::size_t total_ = 0;
  Group without_address_{*this, 0};
  Group refused_{*this, 0};
  std::map<std::uint64_t, Group> of_address_;  // ordered: a client may choose its networks by their hashes
};

}  // namespace websockets
