// SPDX-License-Identifier: MIT
#pragma once

#include <sys/epoll.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "support.h"

class Connection;

// Waits for events of connections.
class Loop {
 public:
  Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) die_of_error("epoll_create1");
  }

  void control(int operation, int fd, Connection& connection, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &connection;
    if (::epoll_ctl(epoll_, operation, fd, &event) != 0) die_of_error("epoll_ctl");
  }

  // handle(connection, events) for each that has some, once. Waits for one to have some, at most so long.
  template <typename Handle>
  void wait(std::int64_t timeout_ns, Handle handle) const {
    std::array<epoll_event, 256> events;
    const timespec timeout{timeout_ns / kSecondNs, timeout_ns % kSecondNs};
    const int count = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (count < 0 && errno != EINTR) die_of_error("epoll_pwait2");
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      handle(*static_cast<Connection*>(event.data.ptr), event.events);
    }
  }

 private:
  int epoll_;
};
