// SPDX-License-Identifier: MIT
#include "loop/background_tasks.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

#include "loop/loop.h"
#include "net/wake_event.h"

namespace websockets {

// What the threads write to; the last one that does has it when the loop is gone.
struct BackgroundTasks::Inbox {
  const pid_t process = ::getpid();
  WakeEvent event;
  std::atomic<Delivery*> done{nullptr};  // the last one first
};

class BackgroundTasks::Delivery final : public BackgroundTask {
 public:
  Delivery(std::shared_ptr<BackgroundTask> task, std::shared_ptr<Inbox> inbox)
      : task_(std::move(task)), inbox_(std::move(inbox)) {}

  void run() noexcept override {
    task_->run();
    has_run_.store(true, std::memory_order_release);
    next = inbox_->done.load(std::memory_order_relaxed);
    while (!inbox_->done.compare_exchange_weak(next, this, std::memory_order_release, std::memory_order_relaxed)) {
    }
    inbox_->event.signal();
  }
  bool delays_exit() const override { return task_->delays_exit(); }
  bool is_of(const BackgroundTask& task) const { return task_.get() == &task; }
  void tell() const {
    if (!is_cancelled) task_->on_done(has_run_.load(std::memory_order_acquire));
  }

  Delivery* next = nullptr;  // among those that are done
  std::list<std::shared_ptr<Delivery>>::iterator place;
  bool is_cancelled = false;

 private:
  const std::shared_ptr<BackgroundTask> task_;
  const std::shared_ptr<Inbox> inbox_;
  std::atomic<bool> has_run_{false};
};

BackgroundTasks::BackgroundTasks(Loop& loop) : Pollable(-1), loop_(loop) {}

BackgroundTasks::~BackgroundTasks() {
  for (const auto& delivery : pending_) withdraw(*delivery);
  if (fd_ >= 0) loop_.unwatch_internal(*this);
}

Error BackgroundTasks::start(std::shared_ptr<BackgroundTask> task) {
  if (inbox_ == nullptr || inbox_->process != ::getpid()) {
    if (Error error = begin_anew()) return error;
  }
  std::list<std::shared_ptr<Delivery>> one;
  one.push_back(std::make_shared<Delivery>(std::move(task), inbox_));
  one.front()->place = one.begin();
  if (Error error = run_in_background(one.front())) return error;
  pending_.splice(pending_.end(), one);
  return {};
}

void BackgroundTasks::cancel(const BackgroundTask& task) {
  const auto found =
      std::find_if(pending_.begin(), pending_.end(), [&](const auto& delivery) { return delivery->is_of(task); });
  if (found == pending_.end()) return;
  (*found)->is_cancelled = true;
  if (withdraw(**found)) pending_.erase(found);
}

// The first time, and in a forked process: there the descriptor is the parent's, and its threads are gone.
Error BackgroundTasks::begin_anew() {
  if (fd_ >= 0) loop_.unwatch_internal(*this);
  fd_ = -1;
  inbox_ = nullptr;
  done_ = nullptr;
  auto inbox = std::make_shared<Inbox>();
  if (!inbox->event.open()) return system_error("no descriptor for threads");
  fd_ = inbox->event.fd();
  if (!loop_.watch_internal(*this)) {
    fd_ = -1;
    return system_error("threads cannot be watched");
  }
  inbox_ = std::move(inbox);
  for (const auto& lost : pending_) lost->next = std::exchange(done_, lost.get());
  if (done_ != nullptr) inbox_->event.signal();
  return {};
}

void BackgroundTasks::on_ready(unsigned) {
  if (inbox_->process != ::getpid()) {
    static_cast<void>(begin_anew());  // once more with the next task
    return;
  }
  inbox_->event.clear();
  for (Delivery* newest = inbox_->done.exchange(nullptr, std::memory_order_acquire); newest != nullptr;) {
    Delivery* const delivery = std::exchange(newest, newest->next);
    delivery->next = std::exchange(done_, delivery);
  }
  try {
    while (done_ != nullptr) deliver(*std::exchange(done_, done_->next));
  } catch (const std::bad_alloc&) {
    if (done_ != nullptr) inbox_->event.signal();  // the others are told another time
    throw;
  }
}

void BackgroundTasks::deliver(Delivery& delivery) {
  const std::shared_ptr<Delivery> keep = *delivery.place;
  pending_.erase(delivery.place);
  keep->tell();
}

}  // namespace websockets
