// SPDX-License-Identifier: MIT
#pragma once

#include <list>
#include <memory>

#include "base/result.h"
#include "net/background_task.h"
#include "net/driver.h"

namespace websockets {

class Loop;

// Lets threads do what may block, and tells in a round of its loop when it is done. It has a descriptor from the first
// task on. In a process that was forked it begins anew: what the parent's threads had not done is lost.
class BackgroundTasks final : public Pollable {
 public:
  explicit BackgroundTasks(Loop& loop);
  // Outside of rounds. Cancels all.
  ~BackgroundTasks();
  BackgroundTasks(const BackgroundTasks&) = delete;
  BackgroundTasks& operator=(const BackgroundTasks&) = delete;

  // BackgroundTask::on_done() follows in a round, unless it is cancelled. Error: it cannot be run. Throws
  // std::bad_alloc.
  Error start(std::shared_ptr<BackgroundTask> task);
  // Forgets it. A thread that is running it goes on.
  void cancel(const BackgroundTask& task);
  bool has_pending() const { return !pending_.empty(); }

  void on_ready(unsigned events) override;

 private:
  struct Inbox;
  class Delivery;

  Error begin_anew();
  void deliver(Delivery& delivery);

  Loop& loop_;
  std::shared_ptr<Inbox> inbox_;
  std::list<std::shared_ptr<Delivery>> pending_;
  Delivery* done_ = nullptr;  // of pending_, the first of those that are to be delivered
};

}  // namespace websockets
