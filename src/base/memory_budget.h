// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits>

namespace websockets {

// How many bytes wait in memory for all channels of a loop, and how many may. Counted are output that waits to be sent,
// and input that waits for more of it or for a quantum. Channel::held_bytes() is the part of one channel: those that
// hold most are shed when the budget is exceeded.
class MemoryBudget {
 public:
  // 0: any number.
  explicit MemoryBudget(std::size_t most)
      : high_watermark_(most == 0 ? std::numeric_limits<std::size_t>::max() : most),
        low_watermark_(high_watermark_ - high_watermark_ / 8) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  void add(std::size_t bytes) { used_ += bytes; }
  void remove(std::size_t bytes) { used_ -= bytes; }
  std::size_t used() const { return used_; }

  bool is_above_high_watermark() const { return used_ > high_watermark_; }
  // Enough was shed: it will be a while until the high watermark is reached again.
  bool is_below_low_watermark() const { return used_ <= low_watermark_; }

 private:
  std::size_t high_watermark_;
  std::size_t low_watermark_;
  std::size_t used_ = 0;
};

}  // namespace websockets
