// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace websockets {

// What one connection may do before others have their turn, by what it takes of their time: a unit is some 20 ns. A
// frame is two of them, a message that is echoed by Lua ten, so are 160 bytes that are decompressed. In all it may do
// 5000, some 100 µs.
constexpr std::uint32_t kQuantum = 5000;

inline void spend_work(std::uint32_t& left, std::size_t work) {
  left -= static_cast<std::uint32_t>(std::min<std::size_t>(work, left));
}

}  // namespace websockets
