// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "loop/descriptor_observer.h"
#include "net/driver.h"

namespace websockets {

// Writes down that it was ready, or what was received for it, where it takes that; then calls `action`.
class FakePollable final : public Pollable {
 public:
  FakePollable(int fd, std::vector<std::string>& log, std::string name = {})
      : Pollable(fd), log_(log), name_(std::move(name)) {}

  void on_ready(unsigned events) override {
    std::string event = name_ + " ready";
    if ((events & kReadable) != 0U) event += " to read";
    if ((events & kWritable) != 0U) event += " to write";
    log_.push_back(event);
    action();
  }
  bool takes_received() const override { return takes; }
  void on_received(IoResult result, std::span<std::uint8_t> input) override {
    log_.push_back(name_ + (result.status == IoStatus::kEnd ? " end" : " received ") + std::string(as_text(input)));
    action();
  }

  std::function<void()> action = [] {};
  bool takes = false;

 private:
  std::vector<std::string>& log_;
  std::string name_;
};

// Writes down "+" or "-", and the descriptor.
class FakeObserver final : public DescriptorObserver {
 public:
  void on_add_fd(int fd) override { events.push_back("+" + std::to_string(fd)); }
  void on_del_fd(int fd) override { events.push_back("-" + std::to_string(fd)); }
  std::vector<std::string> take_events() { return std::exchange(events, {}); }

  std::vector<std::string> events;
};

inline bool is_readable(int fd) {
  pollfd poll{fd, POLLIN, 0};
  return ::poll(&poll, 1, 0) == 1 && (poll.revents & POLLIN) != 0;
}

}  // namespace websockets
