// SPDX-License-Identifier: MIT
#include "cluster/worker_rings.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace websockets {
namespace {

#ifdef MAP_NORESERVE
constexpr int kMapFlags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
#else
constexpr int kMapFlags = MAP_SHARED | MAP_ANONYMOUS;
#endif

constexpr std::size_t kPageBytes = 4096;
// Each flag has a cache line of its own: it is written by whoever sends.
constexpr std::size_t kFlagBytes = 128;
// What is larger is not taken for a bound.
constexpr std::uint64_t kLargestBoundBytes = 1U << 30U;

std::size_t whole_pages(std::size_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

}  // namespace

Result<std::unique_ptr<WorkerRings>> WorkerRings::create(std::size_t count, std::uint64_t max_message_bytes) {
  static_assert(std::atomic<bool>::is_always_lock_free);
  if (max_message_bytes > kLargestBoundBytes) max_message_bytes = kUnboundedMessageBytes;
  const std::size_t max_bytes = static_cast<std::size_t>(max_message_bytes) + kTopicBytes;
  const std::size_t ring_bytes = BroadcastRing::memory_bytes(max_bytes);
  const std::size_t flags_bytes = whole_pages(count * kFlagBytes);
  const std::size_t memory_bytes = flags_bytes + count * ring_bytes;
  // Pages are only taken when they are used, and none is promised before.
  void* const memory = ::mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE, kMapFlags, -1, 0);
  if (memory == MAP_FAILED) return system_error("no shared memory for the workers");
  std::unique_ptr<WorkerRings> rings(new (std::nothrow) WorkerRings(memory, memory_bytes));
  if (rings == nullptr) {
    ::munmap(memory, memory_bytes);
    return Error{"no shared memory for the workers: memory is short", ENOMEM};
  }
  auto* const flags = static_cast<std::uint8_t*>(memory);
  for (std::size_t slot = 0; slot < count; ++slot) {
    rings->slots_.push_back({BroadcastRing(flags + flags_bytes + slot * ring_bytes, max_bytes),
                             new (flags + slot * kFlagBytes) std::atomic<bool>(false),
                             {}});
    if (!rings->slots_.back().wake.open()) return system_error("no descriptor that wakes a worker");
  }
  return rings;
}

WorkerRings::~WorkerRings() { ::munmap(memory_, memory_bytes_); }

// A worker that is awake reads until there is nothing more: so what is sent in a row wakes it once.
void WorkerRings::wake_others(std::size_t slot) {
  for (Slot& other : slots_) {
    if (&other != &slots_[slot] && !other.is_awake->exchange(true)) other.wake.signal();
  }
}

// An exchange, as in wake_others(): of two of them the later one sees what came before the earlier one. So either this
// worker sees what was written before it was found awake, or it is woken.
void WorkerRings::await_wake(std::size_t slot) { slots_[slot].is_awake->exchange(false); }

// Whoever seems to be awake, too: the worker may have died between telling that and waking it.
void WorkerRings::recover(std::size_t slot) {
  slots_[slot].ring.recover();
  for (Slot& other : slots_) {
    if (&other == &slots_[slot]) continue;
    other.is_awake->store(true);
    other.wake.signal();
  }
}

}  // namespace websockets
