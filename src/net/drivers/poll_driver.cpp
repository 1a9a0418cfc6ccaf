// SPDX-License-Identifier: MIT
#include "net/drivers/poll_driver.h"

#include <algorithm>
#include <cerrno>
#include <new>

namespace websockets {
namespace {

short poll_events(unsigned interest) {
  return static_cast<short>(((interest & kReadable) != 0U ? POLLIN : 0) | ((interest & kWritable) != 0U ? POLLOUT : 0));
}

unsigned translate(short events) {
  return ((events & POLLIN) != 0 ? kReadable : 0U) | ((events & POLLOUT) != 0 ? kWritable : 0U) |
         ((events & (POLLHUP | POLLERR | POLLNVAL)) != 0 ? kHangup : 0U);
}

}  // namespace

bool PollDriver::add(Pollable& pollable, unsigned interest) {
  const std::size_t slot = fds_.size();
  try {
    pollables_.push_back(&pollable);
    fds_.push_back({pollable.fd(), poll_events(interest), 0});
  } catch (const std::bad_alloc&) {
    pollables_.resize(slot);
    errno = ENOMEM;
    return false;
  }
  pollable.set_driver_slot(slot);
  return true;
}

bool PollDriver::has(const Pollable& pollable) const {
  const std::uint32_t slot = pollable.driver_slot();
  return slot < pollables_.size() && pollables_[slot] == &pollable;
}

void PollDriver::modify(Pollable& pollable, unsigned interest) {
  if (has(pollable)) fds_[pollable.driver_slot()].events = poll_events(interest);
}

void PollDriver::remove(Pollable& pollable) {
  if (!has(pollable)) return;
  const std::uint32_t slot = pollable.driver_slot();
  fds_[slot] = fds_.back();
  pollables_[slot] = pollables_.back();
  pollables_[slot]->set_driver_slot(slot);
  fds_.pop_back();
  pollables_.pop_back();
}

int PollDriver::wait(std::span<Ready> ready, int timeout_ms) {
  int pending = ::poll(fds_.data(), fds_.size(), timeout_ms);
  if (pending <= 0) return pending;
  const std::size_t wanted = std::min(ready.size(), static_cast<std::size_t>(pending));
  std::size_t found = 0;
  std::size_t slot = first_ < fds_.size() ? first_ : 0;
  for (std::size_t i = 0; i < fds_.size() && found < wanted; ++i) {
    if (fds_[slot].revents != 0) ready[found++] = {pollables_[slot], translate(fds_[slot].revents)};
    if (++slot == fds_.size()) slot = 0;
  }
  first_ = slot;
  return static_cast<int>(found);
}

}  // namespace websockets
