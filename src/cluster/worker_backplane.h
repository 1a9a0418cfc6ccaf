// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "cluster/broadcast_ring.h"
#include "net/driver.h"
#include "server/backplane.h"

namespace websockets {

class DeliveryBudget;
class Hub;
class Loop;
class WorkerRings;
struct HubMessage;

class WorkerBackplaneOwner {
 public:
  // What a worker has sent was overwritten before it was read here. Called within a round; may do anything.
  virtual void on_gap(std::size_t slot) = 0;

 protected:
  ~WorkerBackplaneOwner() = default;
};

// Carries what the hub of a worker sends to those of all other workers, and delivers here what they send. Never waits.
// What one of them sends arrives in its order, and once; what it sends while this worker does not listen for long may
// be lost, which the owner is told.
class WorkerBackplane final : public Backplane, public Pollable {
 public:
  // In the worker of this slot. All of these outlive it. What was sent before is not delivered.
  WorkerBackplane(WorkerRings& rings, std::size_t slot, Hub& hub, Loop& loop, WorkerBackplaneOwner& owner);
  ~WorkerBackplane() override;
  WorkerBackplane(const WorkerBackplane&) = delete;
  WorkerBackplane& operator=(const WorkerBackplane&) = delete;

  // From now on the hub sends by it, and the loop has it woken. False with errno set: the loop cannot watch it. Throws
  // std::bad_alloc.
  bool open();

  // Whether deliver() may have something to do: then the loop does not wait.
  bool has_more() const { return has_more_; }
  // Delivers what has arrived, up to the DeliveryBudget, in turns of those who have sent it. Within a round it does
  // nothing: so a callback that serves the context does not get the next message before it has returned.
  void deliver();

  DeliveryStatus broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) override;
  DeliveryStatus publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data) override;
  void finish() override {}

  void on_ready(unsigned events) override;

 private:
  struct Source {
    std::size_t slot;
    BroadcastRing::Reader reader;
  };

  DeliveryStatus send(const HubMessage& message);
  bool deliver_within_budget();
  bool deliver_next(Source& source, DeliveryBudget& budget);
  bool wait_for_more();

  WorkerRings& rings_;
  std::size_t slot_;
  Hub& hub_;
  Loop& loop_;
  WorkerBackplaneOwner& owner_;
  std::vector<Source> sources_;  // all other workers
  std::size_t next_source_ = 0;
  BroadcastRing::Copy copy_;
  bool is_open_ = false;
  bool is_readable_ = false;  // it was woken, which was not cleared
  bool has_more_;
};

}  // namespace websockets
