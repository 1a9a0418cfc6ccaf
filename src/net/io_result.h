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
  IoStatus status = IoStatus::kWouldBlock;
  int error = 0;  // of kFailed: the errno, where the system said why
  std::size_t bytes = 0;

  constexpr IoResult() = default;
  constexpr IoResult(IoStatus its_status, std::size_t its_bytes, int its_error = 0)
      : status(its_status), error(its_error), bytes(its_bytes) {}
};

// What a call has come to that has failed with this errno.
inline IoResult io_failure(int error) {
  const bool later = error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS || error == ENOMEM;
  return later ? IoResult(IoStatus::kWouldBlock, 0) : IoResult(IoStatus::kFailed, 0, error);
}

}  // namespace websockets
