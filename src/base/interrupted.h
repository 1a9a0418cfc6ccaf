// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>

namespace websockets {

// Makes a system call again when a signal has interrupted it. Not for ever: where a policy of the system answers EINTR
// each time, the caller gets that.
template <typename Call>
auto retry_interrupted(Call call) {
  constexpr int kMostCalls = 16;
  auto result = call();
  for (int calls = 1; result < 0 && errno == EINTR && calls < kMostCalls; ++calls) result = call();
  return result;
}

}  // namespace websockets
