// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace websockets {

// The counters of all channels of a loop.
struct LoopStats {
  std::uint64_t bytes_received = 0;  // within TLS; heads and headers, too
  std::uint64_t bytes_sent = 0;
};

}  // namespace websockets
