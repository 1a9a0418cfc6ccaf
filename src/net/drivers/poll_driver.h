// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>

#include <vector>

#include "net/driver.h"

namespace websockets {

// poll(2): for systems without epoll. Each wait costs time for every watched descriptor.
class PollDriver final : public Driver {
 public:
  bool add(Pollable& pollable, unsigned interest) override;
  void modify(Pollable& pollable, unsigned interest) override;
  void remove(Pollable& pollable) override;
  int wait(std::span<Ready> ready, int timeout_ms) override;

 private:
  // Not when adding it had failed.
  bool has(const Pollable& pollable) const;

  // Parallel; a pollable keeps its place in driver_slot().
  std::vector<pollfd> fds_;
  std::vector<Pollable*> pollables_;
  std::size_t first_ = 0;  // where the next report starts, so that a full `ready` starves nobody
};

}  // namespace websockets
