// SPDX-License-Identifier: MIT
#include "net/wake_event.h"

#include <unistd.h>

#include <array>
#include <cstdint>

#include "base/interrupted.h"

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)

#include <sys/eventfd.h>

namespace websockets {

bool WakeEvent::open() {
  fd_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  return static_cast<bool>(fd_);
}

void WakeEvent::signal() const {
  constexpr std::uint64_t kOne = 1;
  retry_interrupted([&] { return ::write(fd_.get(), &kOne, sizeof kOne); });
}

void WakeEvent::clear() const {
  std::uint64_t count;
  retry_interrupted([&] { return ::read(fd_.get(), &count, sizeof count); });
}

}  // namespace websockets

#else

#include <utility>

#include "net/pipe.h"

namespace websockets {

bool WakeEvent::open() {
  Pipe pipe;
  if (!pipe.open()) return false;
  fd_ = std::move(pipe.reader);
  writing_end_ = std::move(pipe.writer);
  return true;
}

// A pipe that is full is readable as well.
void WakeEvent::signal() const {
  retry_interrupted([&] { return ::write(writing_end_.get(), "", 1); });
}

void WakeEvent::clear() const {
  std::array<char, 512> bytes;
  const auto read = [&] { return ::read(fd_.get(), bytes.data(), bytes.size()); };
  while (retry_interrupted(read) == static_cast<ssize_t>(bytes.size())) {
  }
}

}  // namespace websockets

#endif
