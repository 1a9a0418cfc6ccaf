// SPDX-License-Identifier: MIT
#include "base/clock.h"

#include <chrono>

namespace websockets {
namespace {

template <typename Duration>
Duration monotonic() {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

std::uint64_t monotonic_ms() { return static_cast<std::uint64_t>(monotonic<std::chrono::milliseconds>().count()); }

std::uint64_t monotonic_us() { return static_cast<std::uint64_t>(monotonic<std::chrono::microseconds>().count()); }

double monotonic_exact_ms() { return monotonic<std::chrono::duration<double, std::milli>>().count(); }

}  // namespace websockets
