// SPDX-License-Identifier: MIT
#include "net/background_task.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace websockets {
namespace {

constexpr int kMostThreads = 8;
// What a task reads may be a FIFO, or on a file server that does not answer.
constexpr std::chrono::seconds kMostDelay{3};

using TaskList = std::list<std::shared_ptr<BackgroundTask>>;  // spliced, so that threads allocate nothing

// What the threads and the callers share.
struct TaskThreads {
  explicit TaskThreads(TaskThreads* threads_of_parent) : parent(threads_of_parent) {}

  TaskThreads* const parent;  // for leak checkers
  const pid_t process = ::getpid();
  std::mutex mutex;
  TaskList waiting;
  int count = 0;
  int delaying = 0;  // of those that run, how many delay exit()
  bool is_exiting = false;
  std::condition_variable delay_has_ended;
  std::condition_variable last_has_ended;
};

// Never destroyed: a thread may outlive everything else. A forked process gets others: its parent's mutex may be held
// for ever, by a thread that the fork has left behind.
std::atomic<TaskThreads*> latest{nullptr};

bool is_of_this_process(const TaskThreads* threads) { return threads != nullptr && threads->process == ::getpid(); }

TaskThreads& threads_of_process() {
  TaskThreads* before = latest;
  if (is_of_this_process(before)) return *before;
  auto fresh = std::make_unique<TaskThreads>(before);
  return latest.compare_exchange_strong(before, fresh.get()) ? *fresh.release() : *before;
}

// A thread ends when nothing waits.
void work(TaskThreads& threads) {
  TaskList current;
  std::unique_lock lock(threads.mutex);
  while (!threads.waiting.empty() && !threads.is_exiting) {
    current.splice(current.begin(), threads.waiting, threads.waiting.begin());
    const bool delays_exit = current.front()->delays_exit();
    if (delays_exit) ++threads.delaying;
    lock.unlock();
    current.front()->run();
    current.clear();
    lock.lock();
    if (delays_exit && --threads.delaying == 0) threads.delay_has_ended.notify_all();
  }
  if (--threads.count == 0) threads.last_has_ended.notify_all();
}

// Called by exit(). None begins any more. One that is stuck uses nothing that exit() takes down, which has to come to
// an end.
void wait_for_delaying_tasks() {
  TaskThreads* const threads = latest;
  if (!is_of_this_process(threads)) return;
  std::unique_lock lock(threads->mutex);
  threads->is_exiting = true;
  threads->delay_has_ended.wait_for(lock, kMostDelay, [&] { return threads->delaying == 0; });
}

// exit() calls the latest handler first: before that of whatever had been initialised by then.
void delay_exit() {
  static const bool is_registered = std::atexit(wait_for_delaying_tasks) == 0;
  static_cast<void>(is_registered);
}

// The caller holds the mutex.
bool start_thread(TaskThreads& threads) {
  // Signals are for the threads that the program knows.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool has_started = false;
  try {
    std::thread([&threads] { work(threads); }).detach();
    has_started = true;
    ++threads.count;
  } catch (const std::exception&) {
    // No thread to be had, or no memory for it.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return has_started;
}

}  // namespace

Error run_in_background(std::shared_ptr<BackgroundTask> task) {
  TaskThreads& threads = threads_of_process();
  if (task->delays_exit()) delay_exit();
  TaskList refused;  // destroyed without the mutex
  refused.push_back(std::move(task));
  const std::lock_guard lock(threads.mutex);
  const bool has_thread = (threads.count < kMostThreads && start_thread(threads)) || threads.count > 0;
  if (!has_thread) return {"no thread can be had", EAGAIN};
  threads.waiting.splice(threads.waiting.end(), refused);
  return {};
}

bool withdraw(const BackgroundTask& task) {
  TaskThreads* const threads = latest;
  if (!is_of_this_process(threads)) return false;
  TaskList withdrawn;  // destroyed without the mutex
  const std::lock_guard lock(threads->mutex);
  const auto at = std::find_if(threads->waiting.begin(), threads->waiting.end(),
                               [&](const auto& waiting) { return waiting.get() == &task; });
  if (at == threads->waiting.end()) return false;
  withdrawn.splice(withdrawn.begin(), threads->waiting, at);
  return true;
}

bool wait_for_background_tasks(std::uint64_t timeout_ms) {
  TaskThreads* const threads = latest;
  if (!is_of_this_process(threads)) return true;
  std::unique_lock lock(threads->mutex);
  return threads->last_has_ended.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                                          [&] { return threads->count == 0; });
}

}  // namespace websockets
