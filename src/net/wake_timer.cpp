// SPDX-License-Identifier: MIT
#include "net/wake_timer.h"

#include <cerrno>

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)

#include <sys/timerfd.h>
#include <unistd.h>

namespace websockets {

bool WakeTimer::open() {
  fd_.reset(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  return static_cast<bool>(fd_);
}

void WakeTimer::wake_at(std::uint64_t time_ms) {
  if (time_ms >= wakes_at_ms_) return;
  wakes_at_ms_ = time_ms;
  itimerspec when{};  // all zero would disarm it
  when.it_value.tv_sec = static_cast<time_t>(time_ms / 1000);
  when.it_value.tv_nsec = time_ms == 0 ? 1 : static_cast<long>(time_ms % 1000) * 1'000'000;
  timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void WakeTimer::reset() {
  wakes_at_ms_ = kNever;
  std::uint64_t expirations;
  [[maybe_unused]] const ssize_t unused = ::read(fd_.get(), &expirations, sizeof expirations);
}

}  // namespace websockets

#else

namespace websockets {

bool WakeTimer::open() {
  errno = ENOTSUP;
  return false;
}

void WakeTimer::wake_at(std::uint64_t) {}
void WakeTimer::reset() {}

}  // namespace websockets

#endif
