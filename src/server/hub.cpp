// SPDX-License-Identifier: MIT
#include "server/hub.h"

#include <algorithm>
#include <new>

#include "server/options.h"
#include "websocket/prepared_message.h"

namespace websockets {
namespace {

// Whether nobody here gets it now.
bool is_not_for_here(DeliveryStatus status) {
  return status == DeliveryStatus::kTooLarge || status == DeliveryStatus::kByCluster ||
         status == DeliveryStatus::kClusterDown;
}

}  // namespace

Hub::Hub(const ContextOptions& options, ReceiverOwner& owner, MemoryBudget& memory)
    : owner_(owner),
      memory_(memory),
      subprotocols_(options.protocols.size()),
      drops_when_full_(options.drops_when_full) {
  for (std::size_t i = 0; i < subprotocols_.size(); ++i) subprotocols_[i].name = options.protocols[i];
}

// --- Subprotocols ---

const Subprotocol* Hub::find(std::string_view name) const { return find_subprotocol(subprotocols_, name); }

// --- Receivers ---

void Hub::join(Receiver& receiver, const Subprotocol& subprotocol) {
  const std::size_t index = index_of(subprotocol);
  receiver.join(index, ++last_serial_);
  Subprotocol& joined = subprotocols_[index];
  joined.receivers.push_back(receiver);
  ++joined.open;
  ++joined.opened;
}

void Hub::leave(Receiver& receiver) {
  --subprotocols_[receiver.subprotocol()].open;
  topics_.unsubscribe_all(receiver);
}

void Hub::subscribe(Receiver& receiver, std::string_view topic) {
  if (receiver.is_guest() && receiver.serial() == 0) receiver.set_serial(++last_serial_);
  topics_.subscribe(receiver, topic);
}

// --- Sending ---

// Returns whether it was taken. What could not be is dealt with later: it may lead to callbacks. Small, to be inlined:
// it is the loop of all that goes to many.
inline bool Hub::send(Receiver& receiver, PreparedMessage& message) const {
  try {
    const WriteStatus status = owner_.send(receiver, message);
    if (status == WriteStatus::kQueueFull) refuse(receiver);
    return status == WriteStatus::kAccepted;
  } catch (const std::bad_alloc&) {
    if (!message.was_made()) throw;  // nobody has got it
    owner_.defer_failure(receiver, CloseCode::kAbnormal);
    return false;
  }
}

void Hub::refuse(Receiver& receiver) const {
  if (!drops_when_full_) owner_.defer_failure(receiver, CloseCode::kTryAgainLater);
}

// The backplanes come first: they may refuse, and a callback that sends something in turn must not get in front of
// this.
DeliveryStatus Hub::broadcast(const Subprotocol& subprotocol, std::span<const std::uint8_t> data) {
  DeliveryStatus status =
      cluster_ == nullptr ? DeliveryStatus::kDelivered : cluster_->broadcast(index_of(subprotocol), data);
  if (is_not_for_here(status)) return status;
  if (backplane_ != nullptr) {
    const DeliveryStatus nearby = backplane_->broadcast(index_of(subprotocol), data);
    if (nearby != DeliveryStatus::kDelivered) status = nearby;
  }
  if (status != DeliveryStatus::kTooLarge) deliver(subprotocol, data);
  return status;
}

Hub::Published Hub::publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                            const Receiver* except) {
  DeliveryStatus status =
      cluster_ == nullptr ? DeliveryStatus::kDelivered : cluster_->publish(topic, opcode, data, except);
  if (is_not_for_here(status)) return {status, 0};
  if (backplane_ != nullptr) {
    const DeliveryStatus nearby = backplane_->publish(topic, opcode, data);
    if (nearby != DeliveryStatus::kDelivered) status = nearby;
  }
  return {status, status == DeliveryStatus::kTooLarge ? 0 : deliver(topic, opcode, data, except)};
}

void Hub::deliver(const Subprotocol& subprotocol, std::span<const std::uint8_t> data) {
  const std::uint64_t last_serial = last_serial_;
  PreparedMessage text(memory_, Opcode::kText, data);
  PreparedMessage binary(memory_, Opcode::kBinary, data);
  for (Receiver* receiver = subprotocol.receivers.first(); receiver != nullptr && receiver->serial() <= last_serial;
       receiver = ReceiverList::next(*receiver)) {
    if (receiver->broadcast_mode() == BroadcastMode::kCallback) {
      if (!owner_.on_broadcast(*receiver, data)) owner_.defer_failure(*receiver, CloseCode::kInternalError);
      continue;
    }
    send(*receiver, receiver->broadcast_mode() == BroadcastMode::kForwardText ? text : binary);
  }
}

template <typename Filter>
inline std::size_t Hub::deliver_but(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                                    Filter is_left_out) {
  PreparedMessage message(memory_, opcode, data);
  std::size_t receivers = 0;
  topics_.for_each_subscriber(topic, [&](Subscriber& subscriber) {
    auto& receiver = static_cast<Receiver&>(subscriber);
    if (!is_left_out(receiver) && send(receiver, message)) ++receivers;
  });
  return receivers;
}

std::size_t Hub::deliver(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                         const Receiver* except) {
  return deliver_but(topic, opcode, data, [=](const Receiver& receiver) { return &receiver == except; });
}

std::size_t Hub::deliver(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                         const std::function<bool(const Receiver&)>& is_left_out) {
  return deliver_but(topic, opcode, data, [&](const Receiver& receiver) { return is_left_out(receiver); });
}

void Hub::deliver(std::span<Receiver* const> receivers, Opcode opcode, std::span<const std::uint8_t> data) {
  PreparedMessage message(memory_, opcode, data);
  for (Receiver* const receiver : receivers) send(*receiver, message);
}

}  // namespace websockets
