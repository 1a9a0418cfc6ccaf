// SPDX-License-Identifier: MIT
#pragma once

#include "base/unique_fd.h"

namespace websockets {

// Both ends of a pipe(2), close-on-exec.
struct Pipe {
  UniqueFd reader;
  UniqueFd writer;

  // False with errno set: it cannot be had.
  bool open(bool is_blocking = false);
};

}  // namespace websockets
