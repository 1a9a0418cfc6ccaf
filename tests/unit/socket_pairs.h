// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace websockets {

// Two connected sockets: the near one does not block, the far one does.
struct SocketPair {
  UniqueFd near;
  UniqueFd far;
};

inline void make_nonblocking(int fd) { EXPECT_EQ(::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK), 0); }

inline SocketPair local_pair() {
  std::array<int, 2> fds{-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
  make_nonblocking(fds[0]);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

inline SocketPair tcp_pair() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener.get(), generic, size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), generic, &size), 0);
  UniqueFd far(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_EQ(::connect(far.get(), generic, size), 0);
  UniqueFd near(::accept(listener.get(), nullptr, nullptr));
  EXPECT_TRUE(near);
  make_nonblocking(near.get());
  return {static_cast<UniqueFd&&>(near), static_cast<UniqueFd&&>(far)};
}

inline void write_all(int fd, std::string_view text) {
  EXPECT_EQ(::send(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
}

// Exactly `size` bytes, unless the other side ends before.
inline std::string read_exactly(int fd, std::size_t size) {
  std::string text(size, '\0');
  std::size_t used = 0;
  while (used < size) {
    const ssize_t got = ::recv(fd, text.data() + used, size - used, 0);
    if (got <= 0) break;
    used += static_cast<std::size_t>(got);
  }
  text.resize(used);
  return text;
}

// Closes it so that the other side gets a reset instead of an end.
inline void close_with_reset(UniqueFd& socket) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  socket.reset();
}

}  // namespace websockets
