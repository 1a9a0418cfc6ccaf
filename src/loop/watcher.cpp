// SPDX-License-Identifier: MIT
#include "loop/watcher.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "net/failed_wait.h"

namespace websockets {
namespace {

constexpr std::size_t kEventsPerWait = 512;
constexpr std::size_t kOwnDescriptors = 6;  // the wake timer, the internal driver, and what a context has beside

bool change_in(Driver& driver, Pollable& pollable, unsigned from, unsigned to) {
  if (from == to) return true;
  if (from == 0) return driver.add(pollable, to);
  // A hang-up is reported whether or not it is asked for, so what wants nothing must not be watched.
  if (to == 0) {
    driver.remove(pollable);
  } else {
    driver.modify(pollable, to);
  }
  return true;
}

}  // namespace

Error Watcher::open() {
  const bool is_announced = observer_ != nullptr;
  Error error = is_announced && !announces_one_ ? open_internal() : open_own_loop(is_announced);
  if (error || !is_announced) return error;
  announced_fd_ = announces_each() ? internal_fd() : own_loop_fd();
  observer_->on_add_fd(announced_fd_);
  return {};
}

Error Watcher::open_internal() {
  internal_ = make_driver("");
  if (internal_ == nullptr) return system_error("no event driver");
  if (internal_->fd() < 0) {
    return {"on_add_fd needs a kind of descriptor that this system does not have", ENOTSUP};
  }
  internal_pollable_ = std::make_unique<Internal>(
      internal_->fd(), [](Watcher& watcher) { watcher.serve_internal(); }, *this);
  return open_wake_timer(*internal_);
}

void Watcher::close() {
  if (std::exchange(closed_, true)) return;
  if (announced_fd_ >= 0) observer_->on_del_fd(announced_fd_);
}

void Watcher::release() {
  loop_.reset();
  internal_.reset();
  wake_timer_ = {};
}

void Watcher::abandon() {
  observer_ = nullptr;
  announced_fd_ = -1;
  release();
}

Error Watcher::open_wake_timer(Driver& driver) {
  if (is_woken()) return {};
  WakeTimer timer;
  if (!timer.open()) return system_error("no timer descriptor");
  auto pollable = std::make_unique<Internal>(
      timer.fd(), [](Watcher& watcher) { watcher.wake_timer_.reset(); }, *this);
  if (!driver.add(*pollable, kReadable)) return system_error("the timer cannot be watched");
  wake_timer_ = std::move(timer);
  wake_pollable_ = std::move(pollable);
  return {};
}

Error Watcher::open_own_loop(bool pollable_driver) {
  std::unique_ptr<Driver> loop = make_driver(pollable_driver ? "" : driver_name_);
  if (loop == nullptr) {
    Error error = system_error("no event driver");
    if (!driver_name_.empty()) error.text += " (" + driver_name_ + ")";
    return error;
  }
  if (pollable_driver) {
    if (loop->fd() < 0) return {"this system has no descriptor that stands for others", ENOTSUP};
    if (Error error = open_wake_timer(*loop)) return error;
  }
  if (internal_ != nullptr && !loop->add(*internal_pollable_, kReadable)) return system_error("no watch");
  loop_ = std::move(loop);
  return {};
}

void Watcher::close_own_loop() {
  if (loop_ != nullptr && loop_->fd() >= 0 && !announces_each()) wake_timer_ = {};
  loop_.reset();
}

bool Watcher::watch_in_own_loop(Pollable& pollable, unsigned interest) {
  return loop_ == nullptr || change_in(*loop_, pollable, 0, announces_each() ? interest & kReadable : interest);
}

bool Watcher::watch_internal(Pollable& pollable) {
  const std::unique_ptr<Driver>& driver = announces_each() ? internal_ : loop_;
  return driver == nullptr || driver->add(pollable, kReadable);
}

void Watcher::unwatch_internal(Pollable& pollable) {
  const std::unique_ptr<Driver>& driver = announces_each() ? internal_ : loop_;
  if (driver != nullptr) driver->remove(pollable);
}

bool Watcher::change(Pollable& pollable, unsigned from, unsigned to) {
  if (from == 0 && to != 0) ++watched_;
  if (from != 0 && to == 0) --watched_;
  if (!announces_each()) return loop_ == nullptr || change_in(*loop_, pollable, from, to);
  bool changed = change_in(*internal_, pollable, from & kWritable, to & kWritable);
  if (loop_ != nullptr) changed = change_in(*loop_, pollable, from & kReadable, to & kReadable) && changed;
  if (((from ^ to) & kReadable) == 0) return changed;
  if ((to & kReadable) != 0) {
    observer_->on_add_fd(pollable.fd());
  } else {
    observer_->on_del_fd(pollable.fd());
  }
  return changed;
}

bool Watcher::serve(int timeout_ms) { return dispatch(loop_, timeout_ms); }

void Watcher::serve_internal() { dispatch(internal_, 0); }

// A signal is no reason to pause, unless the system says each time that there was one.
void Watcher::note_wait(bool succeeded, int timeout_ms) {
  constexpr unsigned kMostInterruptions = 64;
  const bool is_interrupted = !succeeded && errno == EINTR && interruptions_ < kMostInterruptions;
  if (!succeeded && !is_interrupted) pause_after_failed_wait(timeout_ms);
  interruptions_ = is_interrupted ? interruptions_ + 1 : 0;
}

bool Watcher::dispatch(const std::unique_ptr<Driver>& driver, int timeout_ms) {
  std::array<Ready, kEventsPerWait> ready;
  bool served = false;
  // Each descriptor is served once and no more: one that is always ready must not keep the timers and the output
  // waiting.
  for (std::size_t most = watched_ + kOwnDescriptors; driver != nullptr;) {
    const int count = driver->wait(ready, timeout_ms);
    note_wait(count >= 0, timeout_ms);
    served = served || count != 0;
    std::span<const Ready> left = std::span(ready).first(static_cast<std::size_t>(std::max(count, 0)));
    while (!left.empty() && !closed_) {
      const std::span<const Ready> group = left.first(std::min(left.size(), ReadyHandler::kMostReady));
      left = left.subspan(group.size());
      handler_.on_ready(group);
    }
    // Once more only if there may be others that had no room.
    if (count < static_cast<int>(ready.size()) || most <= ready.size() || closed_) return served;
    most -= ready.size();
    timeout_ms = 0;
  }
  return served;
}

}  // namespace websockets
