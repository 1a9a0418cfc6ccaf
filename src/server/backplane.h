// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "server/topics.h"
#include "websocket/frame.h"

namespace websockets {

class Receiver;

// How a broadcast, or what was published, was delivered.
enum class DeliveryStatus : std::uint8_t {
  kDelivered,  // to the receivers of this process, and to the backplane, if there is one
  kForwarded,  // to the process that has all the receivers: how many, is not known here
  kBusy,       // that process takes nothing, and will see nothing of this message
  kClosed,     // it has ended
  kTooLarge,   // to nobody: the backplane does not take messages of that size

  // By a cluster only:
  kLocalOnly,    // to the receivers of this machine: the others cannot be reached now
  kByCluster,    // to nobody yet: it comes to all receivers, those of this process too, by way of the cluster
  kClusterDown,  // to nobody: it would have come in that way
};

// Carries what a hub sends to the hubs of other processes, before it is delivered here. What comes from there goes to
// Hub::deliver().
class Backplane {
 public:
  virtual ~Backplane() = default;

  // To those of a subprotocol, by its place in the hub. Both throw std::bad_alloc.
  virtual DeliveryStatus broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) = 0;
  virtual DeliveryStatus publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data) = 0;
  // There will be no more: gives the others the time to take what was sent.
  virtual void finish() = 0;
};

// Carries it to the hubs of other machines, which want the topics only that have subscribers there.
class ClusterBackplane : public TopicsObserver {
 public:
  // As a Backplane's. `except`: who is not to get it, of this process; nullptr: nobody.
  virtual DeliveryStatus broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) = 0;
  virtual DeliveryStatus publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                                 const Receiver* except) = 0;

 protected:
  ~ClusterBackplane() = default;
};

}  // namespace websockets
