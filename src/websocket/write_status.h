// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace websockets {

// Whether a frame was queued.
enum class WriteStatus : std::uint8_t { kAccepted, kClosed, kQueueFull };

}  // namespace websockets
