// SPDX-License-Identifier: MIT
#include "net/driver.h"

#include <cerrno>

#include "net/drivers/epoll_driver.h"
#include "net/drivers/poll_driver.h"

namespace websockets {

std::unique_ptr<Driver> make_driver(std::string_view name) {
#ifdef WEBSOCKETS_HAVE_EPOLL
  if (name.empty() || name == "epoll") {
    auto driver = std::make_unique<EpollDriver>();
    if (driver->valid()) return driver;
    return nullptr;
  }
#endif
  if (name.empty() || name == "poll") return std::make_unique<PollDriver>();
  errno = ENOTSUP;
  return nullptr;
}

}  // namespace websockets
