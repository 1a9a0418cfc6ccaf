// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "net/background_task.h"

namespace websockets {

// What the test's thread and others tell each other: how many have come to a gate, and that it is open.
class Gate {
 public:
  Gate() = default;
  // For a thread: waits until the gate is open.
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_ > 0; });
    --open_;
    ++passed_;
    changed_.notify_all();
  }
  // Lets so many through.
  void open(int count = 1'000'000) {
    const std::lock_guard lock(mutex_);
    open_ = count;
    changed_.notify_all();
  }
  void wait_for_arrivals(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= count; });
  }
  int arrived() {
    const std::lock_guard lock(mutex_);
    return arrived_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  int passed_ = 0;
  int open_ = 0;
};

// Does what the test says, in a thread and then in the loop.
class FakeTask final : public BackgroundTask {
 public:
  explicit FakeTask(
      std::function<void()> work, std::function<void(bool)> done = [](bool) {})
      : work_(std::move(work)), done_(std::move(done)) {}
  void run() noexcept override { work_(); }
  void on_done(bool has_run) override { done_(has_run); }

 private:
  std::function<void()> work_;
  std::function<void(bool)> done_;
};

// More than that are never in threads at the same time.
constexpr int kMostThreads = 8;

}  // namespace websockets
