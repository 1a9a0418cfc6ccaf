// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits>

namespace websockets {

// How many bytes wait in memory for all connections of a context, and how many may. What is counted: output that waits
// to be sent; of what was received, what waits for more of it or for its turn. Connection::held_bytes() is the part of
// one connection, by which those to be closed are chosen when it is exceeded.
class MemoryBudget {
 public:
  // 0: any number.
  explicit MemoryBudget(std::size_t most)
      : most_(most == 0 ? std::numeric_limits<std::size_t>::max() : most), relieved_(most_ - most_ / 8) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  void add(std::size_t bytes) { used_ += bytes; }
  void remove(std::size_t bytes) { used_ -= bytes; }
  std::size_t used() const { return used_; }

  bool is_above_high_watermark() const { return used_ > most_; }
  // Enough was given up for the next time not to come at once.
  bool is_below_low_watermark() const { return used_ <= relieved_; }

 private:
  std::size_t most_;
  std::size_t relieved_;
  std::size_t used_ = 0;
};

}  // namespace websockets
