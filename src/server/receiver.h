// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/intrusive.h"
#include "server/topics.h"
#include "websocket/close_code.h"
#include "websocket/write_status.h"

namespace websockets {

class PreparedMessage;

// How a receiver takes a broadcast.
enum class BroadcastMode : std::uint8_t { kForwardText, kForwardBinary, kCallback };

// A websocket as a hub sees it: one of a subprotocol, subscribed to topics.
class Receiver : public Subscriber {
 public:
  void set_broadcast_mode(BroadcastMode mode) { broadcast_mode_ = mode; }
  BroadcastMode broadcast_mode() const { return broadcast_mode_; }

  // Whether it is not of the server, but the application's own: a client. It only subscribes to topics.
  bool is_guest() const { return is_guest_; }

  // Rises with each receiver that joins, or each guest that subscribes; 0: it has done neither.
  std::uint64_t serial() const { return serial_; }
  // The place of its subprotocol in the hub.
  std::size_t subprotocol() const { return subprotocol_; }
  // For the hub.
  void join(std::size_t subprotocol, std::uint64_t serial) {
    subprotocol_ = static_cast<std::uint32_t>(subprotocol);
    serial_ = serial;
  }
  void set_serial(std::uint64_t serial) { serial_ = serial; }

  ListLink<Receiver> link;  // in the list of its subprotocol; before it joins, the owner's

 protected:
  Receiver() = default;
  explicit Receiver(bool is_guest) : is_guest_(is_guest) {}
  ~Receiver() = default;

 private:
  std::uint64_t serial_ = 0;
  std::uint32_t subprotocol_ = 0;
  BroadcastMode broadcast_mode_ = BroadcastMode::kForwardText;
  bool is_guest_ = false;
};

// The owner of a hub's receivers, which sends to them: a receiver has no virtual functions, as they would take a
// pointer of each websocket.
class ReceiverOwner {
 public:
  // Queues the message. Calls nobody. Throws std::bad_alloc.
  virtual WriteStatus send(Receiver& receiver, PreparedMessage& message) = 0;
  // A broadcast, in BroadcastMode::kCallback. May do anything with anybody. False: the owner's code failed.
  virtual bool on_broadcast(Receiver& receiver, std::span<const std::uint8_t> data) = 0;
  // Closes it with this code, but later. Calls nobody.
  virtual void defer_failure(Receiver& receiver, CloseCode code) = 0;

 protected:
  ~ReceiverOwner() = default;
};

using ReceiverList = IntrusiveList<Receiver, &Receiver::link>;

}  // namespace websockets
