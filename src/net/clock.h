// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>

namespace websockets {

// Of a clock that never goes back.
template <typename Unit>
std::uint64_t monotonic() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<Unit>(now).count());
}

inline std::uint64_t monotonic_ms() { return monotonic<std::chrono::milliseconds>(); }
inline std::uint64_t monotonic_us() { return monotonic<std::chrono::microseconds>(); }

}  // namespace websockets
