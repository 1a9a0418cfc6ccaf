// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace websockets {

// What one connection may spend before the others are served: estimates of the time that things take, in units of some
// 20 ns, never the clock, so that the same input is always served alike. A frame costs two units, a message that is
// echoed by Lua ten, so do 160 bytes that are decompressed. In all it is some 100 µs.
constexpr std::uint32_t kQuantum = 5000;

// How much of a quantum is left: a count that whoever does something takes its cost from. The last thing may cost more
// than is left: what is missing then is the overdraft.
class Budget {
 public:
  explicit Budget(std::uint32_t left = kQuantum) : balance_(left) {}

  bool is_spent() const { return balance_ <= 0; }
  std::uint32_t left() const { return static_cast<std::uint32_t>(std::max<std::int64_t>(balance_, 0)); }
  std::uint32_t overdraft() const { return static_cast<std::uint32_t>(std::max<std::int64_t>(-balance_, 0)); }
  void spend(std::size_t cost) { balance_ -= static_cast<std::int64_t>(std::min(cost, kMostCost)); }

 private:
  static constexpr std::size_t kMostCost = 1U << 28U;  // of one thing: some 5 s

  std::int64_t balance_;
};

}  // namespace websockets
