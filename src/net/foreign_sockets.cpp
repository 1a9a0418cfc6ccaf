// SPDX-License-Identifier: MIT
#include "net/foreign_sockets.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/open_descriptors.h"

namespace websockets {
namespace {

// A datagram socket may have a peer, as that of syslog(3): it is no stream that could be torn apart.
bool is_connection(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type == SOCK_DGRAM) return false;
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0;
}

}  // namespace

std::vector<int> foreign_sockets(std::span<const int> own) {
  std::vector<int> numbers = open_descriptors();
  std::erase_if(numbers, [&](int number) {
    return number <= STDERR_FILENO || std::find(own.begin(), own.end(), number) != own.end() || !is_connection(number);
  });
  return numbers;
}

}  // namespace websockets
