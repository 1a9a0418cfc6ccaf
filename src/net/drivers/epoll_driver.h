// SPDX-License-Identifier: MIT
#pragma once

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#define WEBSOCKETS_HAVE_EPOLL

#include "base/unique_fd.h"
#include "net/driver.h"

namespace websockets {

class EpollDriver final : public Driver {
 public:
  EpollDriver();
  bool valid() const { return static_cast<bool>(epoll_); }
  bool add(Pollable& pollable, unsigned interest) override;
  void modify(Pollable& pollable, unsigned interest) override;
  void remove(Pollable& pollable) override;
  int wait(std::span<Ready> ready, int timeout_ms) override;
  int fd() const override { return epoll_.get(); }

 private:
  UniqueFd epoll_;
};

}  // namespace websockets

#endif
