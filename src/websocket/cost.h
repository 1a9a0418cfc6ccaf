// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

namespace websockets {

// What things cost, in the unit of base/budget.h, some 20 ns: one constant for each thing. A constant has to be right
// within a factor of two or so: what matters is that no kind of input takes much more time than it costs.

// A header is read and checked, and what it begins is set up. Measured by the clock, with a reader and a sink that does
// nothing: 20 to 50 ns for a short control frame, 28 to 60 for each of two fragments.
constexpr std::size_t kCostOfFrame = 2;

// A message is delivered to Lua, and echoed: 0.2 µs in the row "20 B × 100 × 64" of docs/performance.md.
constexpr std::size_t kCostOfMessage = 10;

// A Ping is answered; beside kCostOfFrame. An estimate: what queues a Pong is half of what an echo by Lua takes.
constexpr std::size_t kCostOfControlFrame = 5;
// So many bytes of its payload are copied into the Pong. An estimate.
constexpr std::size_t kControlBytesPerUnit = 16;

// So many bytes come out of zlib: 800 MB/s. The benchmark `decompress` of bench/micro has 700 for 16 KiB of JSON.
constexpr std::size_t kInflatedBytesPerUnit = 16;
// A byte that goes into zlib costs as much as so many that come out, as blocks may consist of nothing but tables.
constexpr std::uint64_t kInflatedBytesPerCompressed = 8;

}  // namespace websockets
