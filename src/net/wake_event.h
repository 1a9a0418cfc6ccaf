// SPDX-License-Identifier: MIT
#pragma once

#include "base/unique_fd.h"

namespace websockets {

// A descriptor that is readable from signal(), which any thread may call, until clear(): how a thread wakes a loop.
class WakeEvent {
 public:
  // False with errno set: it cannot be had.
  bool open();
  int fd() const { return fd_.get(); }
  void signal() const;
  void clear() const;

 private:
  UniqueFd fd_;
  UniqueFd writing_end_;  // of a pipe, where the system has nothing better
};

}  // namespace websockets
