// SPDX-License-Identifier: MIT
#include "cluster/service_notify.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>

#include "base/clock.h"
#include "base/interrupted.h"
#include "base/process_environment.h"
#include "base/unique_fd.h"
#include "net/socket_flags.h"

namespace websockets {
namespace {

// A manager that is busy makes the sender wait: a lost READY=1 would let it take the service for one that hangs.
constexpr timeval kMostWait{1, 0};

struct Destination {
  sockaddr_un address{};
  socklen_t size = 0;  // 0: there is none
};

Destination find_destination() {
  Destination destination;
  const char* const value = process_environment("NOTIFY_SOCKET");
  const std::string_view name = value == nullptr ? "" : value;
  const bool is_abstract = name.starts_with('@');
  if (name.size() < 2 || name.size() >= sizeof destination.address.sun_path || (!is_abstract && name[0] != '/')) {
    return destination;
  }
  destination.address.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), destination.address.sun_path);
  if (is_abstract) destination.address.sun_path[0] = '\0';
  // An abstract name ends with the address, a path with a zero.
  const std::size_t length = is_abstract ? name.size() : name.size() + 1;
  destination.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  return destination;
}

}  // namespace

std::string service_reloading() { return "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_us()) + "\n"; }

std::string service_main_process(pid_t pid) { return "MAINPID=" + std::to_string(pid) + "\n"; }

std::string service_status(std::string_view text) {
  return "STATUS=" + std::string(text.substr(0, text.find('\n'))) + "\n";
}

bool notify_service(std::string_view state) {
  const Destination destination = find_destination();
  if (destination.size == 0) return false;
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM, 0));
  if (!fd) return false;
  ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kMostWait, sizeof kMostWait);
  return retry_interrupted([&] {
           return ::sendto(fd.get(), state.data(), state.size(), kNoSignal,
                           reinterpret_cast<const sockaddr*>(&destination.address), destination.size);
         }) >= 0;
}

}  // namespace websockets
