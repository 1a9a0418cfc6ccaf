// SPDX-License-Identifier: MIT
#pragma once

#include <time.h>  // NOLINT(modernize-deprecated-headers): nanosleep is POSIX's

#include <algorithm>

namespace websockets {

// In place of a wait of so long (-1: without end) that has failed: sleeps for a moment, so that whoever waits in a loop
// does not spin while the system is short of memory or forbids the call. A signal ends it.
inline void pause_after_failed_wait(int timeout_ms) {
  constexpr int kLongestMs = 10;
  if (timeout_ms == 0) return;
  const int pause_ms = timeout_ms < 0 ? kLongestMs : std::min(timeout_ms, kLongestMs);
  const timespec pause{0, pause_ms * 1'000'000L};
  ::nanosleep(&pause, nullptr);
}

}  // namespace websockets
