// SPDX-License-Identifier: MIT
// The linker gives the module's calls of X to __wrap_X, and __real_X to us: see cmake/faults.cmake.
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "faults.h"

using websockets::faults::injector;
using websockets::faults::Kind;

namespace {

// Whether the call fails; else how much of it is done.
bool fails(Kind kind, std::string_view call, std::size_t& bytes) {
  if (!injector.fails(kind, call)) return false;
  if (injector.error() == 0) {
    bytes = std::min<std::size_t>(bytes, 1);
    return false;
  }
  errno = injector.error();
  return true;
}

bool fails(Kind kind, std::string_view call) {
  std::size_t none = 0;
  return fails(kind, call, none);
}

}  // namespace

extern "C" {

// Moves bytes.
ssize_t __real_recv(int fd, void* into, size_t bytes, int flags);
ssize_t __wrap_recv(int fd, void* into, size_t bytes, int flags) {
  return fails(Kind::kInputOutput, "recv", bytes) ? -1 : __real_recv(fd, into, bytes, flags);
}
ssize_t __real_send(int fd, const void* from, size_t bytes, int flags);
ssize_t __wrap_send(int fd, const void* from, size_t bytes, int flags) {
  return fails(Kind::kInputOutput, "send", bytes) ? -1 : __real_send(fd, from, bytes, flags);
}
ssize_t __real_sendmsg(int fd, const msghdr* message, int flags);
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
  std::size_t bytes = SIZE_MAX;
  if (fails(Kind::kInputOutput, "sendmsg", bytes)) return -1;
  if (bytes == SIZE_MAX) return __real_sendmsg(fd, message, flags);
  return __real_send(fd, message->msg_iov[0].iov_base, std::min(bytes, message->msg_iov[0].iov_len), flags);
}
ssize_t __real_pread(int fd, void* into, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void* into, size_t bytes, off_t offset) {
  return fails(Kind::kInputOutput, "pread", bytes) ? -1 : __real_pread(fd, into, bytes, offset);
}
ssize_t __real_sendfile(int to, int from, off_t* offset, size_t bytes);
ssize_t __wrap_sendfile(int to, int from, off_t* offset, size_t bytes) {
  return fails(Kind::kInputOutput, "sendfile", bytes) ? -1 : __real_sendfile(to, from, offset, bytes);
}

// Makes __wrap_NAME, which fails or does the same.
#define WRAP(KIND, TYPE, NAME, PARAMETERS, ARGUMENTS) \
  TYPE __real_##NAME PARAMETERS;                      \
  TYPE __wrap_##NAME PARAMETERS { return fails(KIND, #NAME) ? TYPE(-1) : __real_##NAME ARGUMENTS; }

WRAP(Kind::kInputOutput, int, accept4, (int fd, sockaddr* address, socklen_t* size, int flags),
     (fd, address, size, flags))
WRAP(Kind::kInputOutput, int, epoll_wait, (int set, epoll_event* events, int most, int timeout_ms),
     (set, events, most, timeout_ms))
WRAP(Kind::kInputOutput, int, poll, (pollfd * entries, nfds_t count, int timeout_ms), (entries, count, timeout_ms))

// Only to be refused.
WRAP(Kind::kNone, int, timerfd_settime, (int fd, int flags, const itimerspec* when, itimerspec* before),
     (fd, flags, when, before))
WRAP(Kind::kNone, pid_t, waitpid, (pid_t child, int* status, int flags), (child, status, flags))

WRAP(Kind::kWatch, int, epoll_ctl, (int set, int operation, int fd, epoll_event* event), (set, operation, fd, event))

WRAP(Kind::kOpen, int, epoll_create1, (int flags), (flags))
WRAP(Kind::kOpen, int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(Kind::kOpen, int, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(Kind::kOpen, int, setsockopt, (int fd, int level, int name, const void* value, socklen_t size),
     (fd, level, name, value, size))
WRAP(Kind::kOpen, int, bind, (int fd, const sockaddr* address, socklen_t size), (fd, address, size))
WRAP(Kind::kOpen, int, listen, (int fd, int backlog), (fd, backlog))
WRAP(Kind::kOpen, int, chmod, (const char* path, mode_t mode), (path, mode))
WRAP(Kind::kOpen, int, pipe, (int* ends), (ends))
WRAP(Kind::kOpen, int, socketpair, (int family, int type, int protocol, int* ends), (family, type, protocol, ends))
WRAP(Kind::kOpen, int, fstat, (int fd, struct stat* info), (fd, info))

int __real_open(const char* path, int flags, ...);
int __wrap_open(const char* path, int flags, ...) { return fails(Kind::kOpen, "open") ? -1 : __real_open(path, flags); }
int __real_openat(int folder, const char* path, int flags, ...);
int __wrap_openat(int folder, const char* path, int flags, ...) {
  return fails(Kind::kOpen, "openat") ? -1 : __real_openat(folder, path, flags);
}
void* __real_mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset);
void* __wrap_mmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  return fails(Kind::kOpen, "mmap") ? MAP_FAILED : __real_mmap(address, bytes, protection, flags, fd, offset);
}
pid_t __real_fork();
pid_t __wrap_fork() {
  if (fails(Kind::kOpen, "fork")) return -1;
  const pid_t child = __real_fork();
  if (child == 0) injector = {};
  return child;
}

// Names are looked up nowhere.
int __real_getnameinfo(const sockaddr* address, socklen_t size, char* host, socklen_t host_size, char* service,
                       socklen_t service_size, int flags);
int __wrap_getnameinfo(const sockaddr* address, socklen_t size, char* host, socklen_t host_size, char* service,
                       socklen_t service_size, int flags) {
  if ((flags & NI_NAMEREQD) != 0) return EAI_NONAME;
  return __real_getnameinfo(address, size, host, host_size, service, service_size, flags);
}

// std::thread's constructor.
void __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(void* thread,
                                                                                                  void* state,
                                                                                                  void (*depend)());
void __wrap__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(void* thread,
                                                                                                  void* state,
                                                                                                  void (*depend)()) {
  if (fails(Kind::kOpen, "thread")) throw std::system_error(errno, std::generic_category());
  __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(thread, state, depend);
}

// For calls that the C library has no function for: openat2, io_uring_setup, io_uring_enter.
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_io_uring_enter) {
    // Cut short, it submits one call, and waits for that.
    std::size_t calls = static_cast<unsigned>(arguments[1]);
    if (fails(Kind::kInputOutput, "io_uring_enter", calls)) return -1;
    if (calls < static_cast<unsigned>(arguments[1])) arguments[1] = arguments[2] = static_cast<long>(calls);
  } else if (fails(Kind::kOpen, number == SYS_io_uring_setup ? "io_uring_setup" : "syscall")) {
    return -1;
  }
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
}
