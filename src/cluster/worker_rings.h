// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "cluster/broadcast_ring.h"
#include "net/wake_event.h"

namespace websockets {

// What all workers share to send to each other: for each slot the ring that its worker writes to, and a descriptor that
// wakes it. Made before the first of them is forked, so that a worker that takes a dead one's place finds both.
class WorkerRings {
 public:
  // Messages of up to `max_message_bytes`, and their topics, have room; of up to kUnboundedMessageBytes where that is
  // more than 1 GiB, as every worker's ring has room for two of them.
  static Result<std::unique_ptr<WorkerRings>> create(std::size_t count, std::uint64_t max_message_bytes);
  ~WorkerRings();
  WorkerRings(const WorkerRings&) = delete;
  WorkerRings& operator=(const WorkerRings&) = delete;

  static constexpr std::uint64_t kUnboundedMessageBytes = 64U << 20U;
  static constexpr std::size_t kTopicBytes = 64U << 10U;

  std::size_t count() const { return slots_.size(); }

  // --- The worker of a slot ---

  // It writes to its own, and reads the others.
  BroadcastRing& ring(std::size_t slot) { return slots_[slot].ring; }
  // Readable when it has been woken.
  int wake_fd(std::size_t slot) const { return slots_[slot].wake.fd(); }
  // There is something in the ring of `slot`: all others are to read it.
  void wake_others(std::size_t slot);
  // It is not readable any more.
  void clear_wake(std::size_t slot) { slots_[slot].wake.clear(); }
  // It has read everything, and is to be woken. What came in between, it has to look for itself afterwards.
  void await_wake(std::size_t slot);

  // --- The supervisor ---

  // The worker of a slot has died, maybe while it was writing, or before it has woken the others.
  void recover(std::size_t slot);

 private:
  struct Slot {
    BroadcastRing ring;
    std::atomic<bool>* is_awake;  // it will read what is there: nobody has to wake it
    WakeEvent wake;
  };

  WorkerRings(void* memory, std::size_t memory_bytes) : memory_(memory), memory_bytes_(memory_bytes) {}

  void* memory_;
  std::size_t memory_bytes_;
  std::vector<Slot> slots_;
};

}  // namespace websockets
