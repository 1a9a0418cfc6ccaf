// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "net/unique_fd.h"

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

// A connected, non-blocking byte stream. No call blocks, raises SIGPIPE, or fails for EINTR. Owns the descriptor.
class Stream {
 public:
  explicit Stream(UniqueFd fd) : fd_(static_cast<UniqueFd&&>(fd)) {}

  int fd() const { return fd_.get(); }
  IoResult receive(std::span<std::uint8_t> into);
  IoResult send(std::span<const iovec> parts);
  // Sends from a regular file; `offset` is not moved. kEnd: the file is shorter than that.
  IoResult send_file(int file, off_t offset, std::size_t count);
  // Tells the peer that no more will be sent; receiving goes on.
  void shutdown_send();
  void close() { fd_.reset(); }

 private:
  UniqueFd fd_;
};

}  // namespace websockets
