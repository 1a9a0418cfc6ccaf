// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace websockets {

// Of a clock that never goes back.
std::uint64_t monotonic_ms();
std::uint64_t monotonic_us();
// The same milliseconds, with their fractions.
double monotonic_exact_ms();

}  // namespace websockets
