// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace websockets {

enum class IoStatus : std::uint8_t {
  kDone,        // `bytes` were moved: at least one
  kWouldBlock,  // nothing moved; wait for the descriptor
  kEnd,         // the peer will send no more
  kFailed,      // the connection is lost
};

struct IoResult {
  IoStatus status;
  std::size_t bytes;
};

// What a call has come to that has failed with this errno.
inline IoResult io_failure(int error) {
  const bool later = error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS || error == ENOMEM;
  return {later ? IoStatus::kWouldBlock : IoStatus::kFailed, 0};
}

}  // namespace websockets
