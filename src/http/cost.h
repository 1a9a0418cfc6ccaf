// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace websockets {

// What things cost, in the unit of base/budget.h, some 20 ns; see websocket/cost.h.

// The end of a line is found, and the line is read. Measured by the clock, in a parser alone: 25 to 40 ns for a line of
// six bytes, below 1 ns for each further byte. They cost two or three times that, which leaves room for what is done
// with a header that was read.
constexpr std::size_t kCostOfLine = 4;
constexpr std::size_t kLineBytesPerUnit = 8;

// A request is answered; beside its lines. An estimate: 6 µs.
constexpr std::size_t kCostOfRequest = 300;

}  // namespace websockets
