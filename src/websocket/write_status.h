// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace websockets {

// What became of something that was to be sent.
enum class WriteStatus : std::uint8_t { kAccepted, kClosed, kQueueFull };

}  // namespace websockets
