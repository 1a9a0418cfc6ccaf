// SPDX-License-Identifier: MIT
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "net/io_result.h"

namespace websockets {

class IoBatch;

// Gives it back to the thread.
struct BatchReturner {
  void operator()(IoBatch* batch) const;
};
using BorrowedBatch = std::unique_ptr<IoBatch, BatchReturner>;

// Receives from, or sends to, several sockets by one system call, which never waits: by io_uring of Linux.
class IoBatch {
 public:
  // How many calls are gathered at most, how many bytes each of them receives, and how many parts each sends.
  static constexpr std::size_t kMost = 16;
  static constexpr std::size_t kReceiveBytes = 2U << 10U;
  static constexpr std::size_t kMostParts = 8;

  // Each thread has one, which stays until the thread ends: when one is closed, the kernel interrupts a later wait of
  // the thread. nullptr, with errno set: this system has none, or does not allow it, or the thread's is taken already.
  static BorrowedBatch take();
  virtual ~IoBatch() = default;

  virtual void add_receive(int fd) = 0;
  virtual void add_send(int fd, std::span<const iovec> parts) = 0;
  virtual std::size_t size() const = 0;
  // Does what was added since the last time. The results are in the order of adding; kWouldBlock, too, for what the
  // system is too short of memory for.
  virtual std::span<const IoResult> run() = 0;
  // What the call of this number has received; stays until the next add_receive().
  virtual std::span<std::uint8_t> received(std::size_t number) = 0;
};

}  // namespace websockets
