// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/backplane.h"
#include "server/subprotocol.h"
#include "server/topics.h"
#include "websocket/frame.h"

namespace websockets {

class MemoryBudget;
struct ContextOptions;

// Who gets what: the websockets of each subprotocol, their topics, and what is sent to many of them, here and, by a
// backplane, in other processes. While it sends, all receivers have to stay in memory.
class Hub {
 public:
  // Counts in `memory` what is sent, as long as it waits.
  Hub(const ContextOptions& options, ReceiverOwner& owner, MemoryBudget& memory);
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // --- Subprotocols ---

  // In the order of ContextOptions::protocols.
  std::span<const Subprotocol> subprotocols() const { return subprotocols_; }
  std::size_t index_of(const Subprotocol& subprotocol) const {
    return static_cast<std::size_t>(&subprotocol - subprotocols_.data());
  }
  // Of one that has joined.
  const Subprotocol& subprotocol_of(const Receiver& receiver) const { return subprotocols_[receiver.subprotocol()]; }
  // nullptr: there is none of that name.
  const Subprotocol* find(std::string_view name) const;

  // --- Receivers ---

  // It has opened: from now on it gets what is sent. It is in no list.
  void join(Receiver& receiver, const Subprotocol& subprotocol);
  // It is open no more: its subscriptions end.
  void leave(Receiver& receiver);
  // It is to be freed. It has left.
  void remove(Receiver& receiver) { subprotocols_[receiver.subprotocol()].receivers.remove(receiver); }

  // As in Topics. A guest gets a serial, too.
  void subscribe(Receiver& receiver, std::string_view topic);
  bool unsubscribe(Receiver& receiver, std::string_view topic) { return topics_.unsubscribe(receiver, topic); }
  // For one that never joined: it is open no more.
  void unsubscribe_all(Receiver& receiver) { topics_.unsubscribe_all(receiver); }
  const Topics& topics() const { return topics_; }

  // --- Sending ---

  // To every receiver of the subprotocol that had joined when the call began, as its mode says. `data` must stay valid
  // whatever the callbacks do. Throws std::bad_alloc, as long as nobody here has got it as text, or nobody as binary.
  DeliveryStatus broadcast(const Subprotocol& subprotocol, std::span<const std::uint8_t> data);
  struct Published {
    DeliveryStatus status;
    std::size_t receivers;  // of this process, that have taken it
  };
  // As text or binary, to every receiver that is subscribed but to `except`. Calls nobody. Throws std::bad_alloc, as
  // long as nobody here has got it.
  Published publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                    const Receiver* except = nullptr);

  // The same for what another process sends: to the receivers of this one only.
  void deliver(const Subprotocol& subprotocol, std::span<const std::uint8_t> data);
  std::size_t deliver(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                      const Receiver* except = nullptr);

  // To each subscriber but those that `is_left_out`, and to these receivers, which need not be subscribed. Both as
  // publish().
  std::size_t deliver(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                      const std::function<bool(const Receiver&)>& is_left_out);
  void deliver(std::span<Receiver* const> receivers, Opcode opcode, std::span<const std::uint8_t> data);
  // It cannot get all that was sent: it is closed, later, so that it comes again. Calls nobody.
  void fail(Receiver& receiver) { owner_.defer_failure(receiver, CloseCode::kTryAgainLater); }

  // nullptr: none. Both have to outlive their being set.
  void set_backplane(Backplane* backplane) { backplane_ = backplane; }
  // While nobody is subscribed to anything.
  void set_cluster(ClusterBackplane* cluster) {
    cluster_ = cluster;
    topics_.set_observer(cluster);
  }

 private:
  template <typename Filter>
  std::size_t deliver_but(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                          Filter is_left_out);
  bool send(Receiver& receiver, PreparedMessage& message) const;
  void refuse(Receiver& receiver) const;

  ReceiverOwner& owner_;
  MemoryBudget& memory_;
  std::vector<Subprotocol> subprotocols_;
  bool drops_when_full_;
  Topics topics_;
  std::uint64_t last_serial_ = 0;
  Backplane* backplane_ = nullptr;       // to other processes
  ClusterBackplane* cluster_ = nullptr;  // to other machines
};

}  // namespace websockets
