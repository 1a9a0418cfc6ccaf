// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/unique_fd.h"

namespace websockets {

// A descriptor that becomes readable at a given time: how a context that waits in somebody else's loop is woken.
class WakeTimer {
 public:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  // False with errno set: it cannot be had here.
  bool open();
  int fd() const { return fd_.get(); }

  // Readable from `time_ms` (of monotonic_ms()) on; 0: at once. A system call only when that is earlier than what it
  // was set to.
  void wake_at(std::uint64_t time_ms);
  // Not readable any more, until the next wake_at().
  void reset();

 private:
  UniqueFd fd_;
  std::uint64_t wakes_at_ms_ = kNever;
};

}  // namespace websockets
