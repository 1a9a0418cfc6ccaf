// SPDX-License-Identifier: MIT
#include "net/foreign_sockets.h"

#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <system_error>

namespace websockets {
namespace {

// Where no directory lists them.
constexpr long kMostDescriptors = 65'536;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::vector<int> open_descriptors() {
#ifdef __linux__
  constexpr const char* kDirectory = "/proc/self/fd";
#else
  constexpr const char* kDirectory = "/dev/fd";
#endif
  std::vector<int> numbers;
  if (const std::unique_ptr<DIR, CloseDirectory> directory{::opendir(kDirectory)}) {
    while (const dirent* const entry = ::readdir(directory.get())) {
      int number = -1;
      const char* const end = entry->d_name + std::strlen(entry->d_name);
      if (std::from_chars(entry->d_name, end, number).ec == std::errc()) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
  } else {
    const long most = std::min(::sysconf(_SC_OPEN_MAX), kMostDescriptors);
    for (int number = 0; number < most; ++number) numbers.push_back(number);
  }
  return numbers;
}

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
