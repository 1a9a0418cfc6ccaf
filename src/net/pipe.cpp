// SPDX-License-Identifier: MIT
#include "net/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

namespace websockets {

bool Pipe::open(bool is_blocking) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return false;
  reader.reset(ends[0]);
  writer.reset(ends[1]);
  for (const int end : ends) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    if (!is_blocking) ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
  return true;
}

}  // namespace websockets
