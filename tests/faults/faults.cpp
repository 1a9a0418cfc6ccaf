// SPDX-License-Identifier: MIT
// The linker gives the module's calls of X to __wrap_X, and __real_X to us: see cmake/faults.cmake.
#include "faults.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>

namespace websockets::faults {

Injector injector;

void Injector::arm(Kind kind, long number, int error) {
  kind_ = kind;
  left_ = number;
  error_ = error;
}

bool Injector::disarm() {
  const bool was_made = left_ == 0;
  kind_ = Kind::kNone;
  return was_made;
}

bool Injector::fails(Kind kind) { return kind == kind_ && left_ > 0 && --left_ == 0; }

void* allocate_for_lua(void*, void* block, std::size_t old_bytes, std::size_t bytes) {
  if (bytes == 0) {
    std::free(block);
    return nullptr;
  }
  // Lua relies on blocks that shrink.
  if ((block == nullptr || bytes > old_bytes) && injector.fails(Kind::kAllocation)) return nullptr;
  return std::realloc(block, bytes);
}

}  // namespace websockets::faults

using websockets::faults::injector;
using websockets::faults::Kind;

void* operator new(std::size_t bytes) {
  void* const block = injector.fails(Kind::kAllocation) ? nullptr : std::malloc(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }

namespace {

// Whether the call fails; else how much of it is done.
bool fails(Kind kind, std::size_t& bytes) {
  if (!injector.fails(kind)) return false;
  if (injector.error() == 0) {
    bytes = std::min<std::size_t>(bytes, 1);
    return false;
  }
  errno = injector.error();
  return true;
}

bool fails(Kind kind) {
  std::size_t none = 0;
  return fails(kind, none);
}

}  // namespace

extern "C" {
void* __real_realloc(void* block, size_t bytes);
ssize_t __real_recv(int fd, void* into, size_t bytes, int flags);
ssize_t __real_send(int fd, const void* from, size_t bytes, int flags);
ssize_t __real_sendmsg(int fd, const msghdr* message, int flags);
int __real_accept4(int fd, sockaddr* address, socklen_t* size, int flags);
int __real_epoll_ctl(int set, int operation, int fd, epoll_event* event);
int __real_epoll_wait(int set, epoll_event* events, int most, int timeout_ms);

void* __wrap_realloc(void* block, size_t bytes) {
  return injector.fails(Kind::kAllocation) ? nullptr : __real_realloc(block, bytes);
}
ssize_t __wrap_recv(int fd, void* into, size_t bytes, int flags) {
  return fails(Kind::kInputOutput, bytes) ? -1 : __real_recv(fd, into, bytes, flags);
}
ssize_t __wrap_send(int fd, const void* from, size_t bytes, int flags) {
  return fails(Kind::kInputOutput, bytes) ? -1 : __real_send(fd, from, bytes, flags);
}
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
  std::size_t bytes = SIZE_MAX;
  if (fails(Kind::kInputOutput, bytes)) return -1;
  if (bytes == SIZE_MAX) return __real_sendmsg(fd, message, flags);
  return __real_send(fd, message->msg_iov[0].iov_base, std::min(bytes, message->msg_iov[0].iov_len), flags);
}
int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  return fails(Kind::kInputOutput) ? -1 : __real_accept4(fd, address, size, flags);
}
int __wrap_epoll_ctl(int set, int operation, int fd, epoll_event* event) {
  return fails(Kind::kWatch) ? -1 : __real_epoll_ctl(set, operation, fd, event);
}
int __wrap_epoll_wait(int set, epoll_event* events, int most, int timeout_ms) {
  return fails(Kind::kInputOutput) ? -1 : __real_epoll_wait(set, events, most, timeout_ms);
}
}
