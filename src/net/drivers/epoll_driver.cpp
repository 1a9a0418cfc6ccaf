// SPDX-License-Identifier: MIT
#include "net/drivers/epoll_driver.h"

#ifdef WEBSOCKETS_HAVE_EPOLL

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace websockets {
namespace {

constexpr std::size_t kEventsPerWait = 512;

epoll_event make_event(Pollable& pollable, unsigned interest) {
  epoll_event event{};
  event.events = ((interest & kReadable) != 0U ? static_cast<unsigned>(EPOLLIN) : 0U) |
                 ((interest & kWritable) != 0U ? static_cast<unsigned>(EPOLLOUT) : 0U);
  event.data.ptr = &pollable;
  return event;
}

unsigned translate(unsigned events) {
  return ((events & EPOLLIN) != 0U ? kReadable : 0U) | ((events & EPOLLOUT) != 0U ? kWritable : 0U) |
         ((events & (EPOLLHUP | EPOLLERR)) != 0U ? kHangup : 0U);
}

}  // namespace

EpollDriver::EpollDriver() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

bool EpollDriver::add(Pollable& pollable, unsigned interest) {
  epoll_event event = make_event(pollable, interest);
  if (pollable.is_exclusive()) event.events |= EPOLLEXCLUSIVE;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pollable.fd(), &event) == 0;
}

void EpollDriver::modify(Pollable& pollable, unsigned interest) {
  epoll_event event = make_event(pollable, interest);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, pollable.fd(), &event);
}

void EpollDriver::remove(Pollable& pollable) {
  epoll_event unused{};
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, pollable.fd(), &unused);
}

int EpollDriver::wait(std::span<Ready> ready, int timeout_ms) {
  std::array<epoll_event, kEventsPerWait> events;
  int room = static_cast<int>(std::min(ready.size(), events.size()));
  int count = epoll_wait(epoll_.get(), events.data(), room, timeout_ms);
  for (int i = 0; i < count; ++i) {
    auto index = static_cast<std::size_t>(i);
    ready[index] = {static_cast<Pollable*>(events[index].data.ptr), translate(events[index].events)};
  }
  return count;
}

}  // namespace websockets

#endif
