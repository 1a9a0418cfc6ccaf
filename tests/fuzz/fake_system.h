// SPDX-License-Identifier: MIT
// The system calls that move the bytes of a context, and its clock, in the hands of a fuzz target: calls fail, or do
// less than they were asked to, as `faults` says. The linker prefers what is defined here to the C library's.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <string_view>

namespace websockets::fuzz {

struct FakeSystem {
  std::uint64_t now_ms = 1'000'000;
  std::string_view faults;  // one per call, as long as there are some
  int calls = 0;

  // The error to fail with, 0: none; or how many bytes to move at most.
  int take_fault(std::size_t& most) {
    ++calls;
    if (faults.empty()) return 0;
    const auto fault = static_cast<unsigned char>(faults.front());
    faults.remove_prefix(1);
    constexpr int kErrors[] = {EAGAIN, EINTR, ECONNRESET, EPIPE, ENOBUFS, ETIMEDOUT};
    if (fault < std::size(kErrors)) return kErrors[fault];
    if (fault < 64) most = std::min<std::size_t>(most, fault - 5U);
    return 0;
  }
};

inline FakeSystem fake_system;

// Of a call to be passed on, or failed.
template <typename Call>
ssize_t call_system(std::size_t most, Call call) {
  if (const int error = fake_system.take_fault(most); error != 0) {
    errno = error;
    return -1;
  }
  return call(most);
}

}  // namespace websockets::fuzz

extern "C" [[gnu::used]] inline ssize_t recv(int fd, void* into, size_t size, int flags) {
  return websockets::fuzz::call_system(size, [&](std::size_t most) -> ssize_t {
    return ::syscall(SYS_recvfrom, fd, into, most, flags, nullptr, nullptr);
  });
}

extern "C" [[gnu::used]] inline ssize_t send(int fd, const void* from, size_t size, int flags) {
  return websockets::fuzz::call_system(
      size, [&](std::size_t most) -> ssize_t { return ::syscall(SYS_sendto, fd, from, most, flags, nullptr, 0); });
}

extern "C" [[gnu::used]] inline ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  return websockets::fuzz::call_system(SIZE_MAX, [&](std::size_t most) -> ssize_t {
    if (most == SIZE_MAX) return ::syscall(SYS_sendmsg, fd, message, flags);
    const iovec& first = message->msg_iov[0];  // a part of it is less than was asked for
    return ::syscall(SYS_sendto, fd, first.iov_base, std::min(most, first.iov_len), flags, nullptr, 0);
  });
}

extern "C" [[gnu::used]] inline int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (clock != CLOCK_MONOTONIC) return static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  const std::uint64_t now_ms = websockets::fuzz::fake_system.now_ms;
  time->tv_sec = static_cast<time_t>(now_ms / 1000);
  time->tv_nsec = static_cast<long>(now_ms % 1000 * 1'000'000);
  return 0;
}
