// SPDX-License-Identifier: MIT
#include "loop/loop.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <new>
#include <utility>

#include "base/clock.h"

namespace websockets {

Loop::Loop(const LoopOptions& options, LoopOwner& owner)
    : owner_(owner),
      watcher_(*this, options.observer, options.announces_one, options.driver == "io_uring" ? "epoll" : options.driver),
      driver_(options.driver),
      linger_timeout_ms_(options.linger_timeout_ms),
      now_ms_(monotonic_ms()),
      timers_(now_ms_),
      memory_(options.max_memory_bytes),
      output_pool_(memory_) {}

Loop::~Loop() = default;

Error Loop::open() {
  if (Error error = batch_.open(driver_)) return error;
  return watcher_.open();
}

// --- Serving ---

void Loop::service(int timeout_ms) {
  now_ms_ = monotonic_ms();
  const std::uint64_t deadline_ms =
      timeout_ms < 0 ? std::numeric_limits<std::uint64_t>::max() : now_ms_ + static_cast<std::uint64_t>(timeout_ms);
  if (!watcher_.has_own_loop() && open_own_loop(false)) return;
  while (!was_stopped_ && !serve_once(wait_ms(deadline_ms)) && now_ms_ < deadline_ms) {
  }
}

// In a loop that announces its descriptors, or whose driver is exchanged: everything has to be watched anew. If not
// everything can be, nothing is, until it is asked for again.
Error Loop::open_own_loop(bool pollable_driver) {
  if (Error error = watcher_.open_own_loop(pollable_driver)) return error;
  bool is_watched = true;
  for (Pollable* const pollable : watched_) {
    if (pollable == nullptr || pollable->interest() == 0) continue;
    is_watched = watcher_.watch_in_own_loop(*pollable, pollable->interest()) && is_watched;
  }
  if (!announces_each()) {
    for (Pollable* pollable : internal_) is_watched = watcher_.watch_internal(*pollable) && is_watched;
  }
  if (is_watched) return {};
  Error error = system_error("not everything can be watched");
  watcher_.close_own_loop();
  return error;
}

Result<int> Loop::poll_descriptor() {
  if (watcher_.own_loop_fd() < 0 || !watcher_.is_woken()) {
    if (Error error = open_own_loop(true)) return error;
    set_wake_time();
  }
  return watcher_.own_loop_fd();
}

int Loop::idle_ms() {
  now_ms_ = monotonic_ms();
  return wait_ms(std::numeric_limits<std::uint64_t>::max());
}

Pollable* Loop::service_descriptor(int fd) {
  // There is no other sign of a round of the outer loop while nobody has a quantum.
  const std::uint64_t before_ms = std::exchange(now_ms_, monotonic_ms());
  if (now_ms_ != before_ms) scheduler_.begin_round();
  const bool is_own_loop = fd >= 0 && fd == watcher_.own_loop_fd();
  const bool is_internal = is_own_loop || (fd >= 0 && fd == watcher_.internal_fd());
  Pollable* const pollable = is_internal ? nullptr : find(fd);
  if (!is_internal && pollable == nullptr) return nullptr;

  batch_.deliver();
  if (is_own_loop) {
    watcher_.serve(0);
  } else if (is_internal) {
    watcher_.serve_internal();
  } else {
    ++served_;
    pollable->on_ready(kReadable | kWritable);
  }
  serve_timers_and_deferred();
  // Once in a round of the outer loop, which finds the internal descriptor readable while there is one.
  if (is_internal) run_flows();
  owner_.on_served();
  return pollable;
}

bool Loop::has_something_to_do() const {
  return !deferred_.empty() || owner_.has_work() || scheduler_.has_queued() || batch_.has_corked() ||
         batch_.has_undelivered();
}

// How long to wait at most: until the deadline, the next timer, or not at all when there is something to do.
int Loop::wait_ms(std::uint64_t deadline_ms) {
  if (has_something_to_do()) return 0;
  std::uint64_t wait = deadline_ms == std::numeric_limits<std::uint64_t>::max() ? deadline_ms
                       : deadline_ms > now_ms_                                  ? deadline_ms - now_ms_
                                                                                : 0;
  const std::int64_t idle_ms = timers_.idle_ms();
  if (idle_ms >= 0) {
    const std::uint64_t due_ms = timers_.now_ms() + static_cast<std::uint64_t>(idle_ms);
    wait = std::min(wait, due_ms > now_ms_ ? due_ms - now_ms_ : 0);
  }
  if (wait == std::numeric_limits<std::uint64_t>::max()) return -1;
  return static_cast<int>(std::min<std::uint64_t>(wait, std::numeric_limits<int>::max()));
}

// Returns whether something was done, or the wait was interrupted.
bool Loop::serve_once(int timeout_ms) {
  const Round round(*this);
  const bool has_delivered = batch_.deliver();
  const bool has_served = watcher_.serve(has_delivered ? 0 : timeout_ms);
  const bool has_worked = serve_timers_and_deferred();
  const bool has_run = run_flows();
  owner_.on_served();
  return has_worked || has_run || has_served || has_delivered;
}

void Loop::on_ready(std::span<const Ready> group) {
  now_ms_ = monotonic_ms();  // it has waited
  served_ += group.size();
  batch_.serve(group);
  enforce_memory_limit();
}

bool Loop::serve_timers_and_deferred() {
  if (was_stopped_) return true;
  now_ms_ = monotonic_ms();
  const bool has_timed_out = timers_.advance(now_ms_) > 0;
  batch_.flush();
  enforce_memory_limit();
  const bool has_worked = owner_.do_work();
  return run_deferred() || has_worked || has_timed_out;
}

bool Loop::run_deferred() {
  if (deferred_.empty()) return false;
  // A channel that is added meanwhile waits for the next round, so that nobody keeps this one from ending. One that is
  // not run yet stays in the queue, so that a nested call finds it.
  for (std::size_t left = deferred_.size(); left > 0 && !deferred_.empty(); --left) {
    auto& channel = static_cast<Channel&>(deferred_.pop());
    if (channel.is_closed()) {
      closed_.push(channel);
      continue;
    }
    channel.is_deferred = false;
    if (!deferred_.empty()) set_wake_time();  // for a loop that a callback runs
    if (!was_stopped_) channel.run_deferred();
  }
  return true;
}

bool Loop::run_flows() {
  const std::size_t served = std::min(std::exchange(served_, 0), channel_count_);
  const bool has_run = scheduler_.run_round(served, [&](Channel& channel, Budget& budget, bool is_exclusive) {
    if (scheduler_.has_queued()) set_wake_time();  // for a loop that a callback runs
    return !was_stopped_ && channel.run(budget, is_exclusive);
  });
  if (has_run && scheduler_.has_queued()) set_wake_time();
  return has_run;
}

void Loop::end_round() {
  enforce_memory_limit();
  batch_.flush();  // last: it must be empty when what is closed is released
  release_closed();
  owner_.on_round_end();
  if (!was_stopped_) return set_wake_time();
  release_closed();  // once more: nothing that is deferred will be run
  watcher_.release();
}

// --- Time ---

// Another loop has to know when this one has something to do of its own accord.
void Loop::set_wake_time() {
  if (!watcher_.is_woken() || was_stopped_) return;
  if (has_something_to_do()) return watcher_.wake_at(0);
  const std::int64_t idle_ms = timers_.idle_ms();
  if (idle_ms >= 0) watcher_.wake_at(timers_.now_ms() + static_cast<std::uint64_t>(idle_ms));
}

// Not counted from the time of the round: it is long ago when an outer loop calls.
void Loop::schedule(Timer& timer, std::uint64_t wait_ms) { schedule_at(timer, monotonic_ms() + wait_ms); }

void Loop::schedule_at(Timer& timer, std::uint64_t time_ms) {
  timers_.schedule(timer, time_ms);
  if (depth_ == 0) set_wake_time();
}

// --- Descriptors ---

void Loop::add(Pollable& pollable) {
  const auto index = static_cast<std::size_t>(pollable.fd());
  if (index >= watched_.size()) watched_.resize(std::max(index + 1, watched_.size() * 2));
  watched_[index] = &pollable;
}

void Loop::remove(Pollable& pollable) {
  watch(pollable, 0);
  const auto index = static_cast<std::size_t>(pollable.fd());
  if (index < watched_.size() && watched_[index] == &pollable) watched_[index] = nullptr;
}

Pollable* Loop::find(int fd) const {
  const auto index = static_cast<std::size_t>(fd);
  return fd >= 0 && index < watched_.size() ? watched_[index] : nullptr;
}

bool Loop::watch(Pollable& pollable, unsigned interest) {
  const unsigned before = pollable.interest();
  pollable.set_interest(interest);
  return watcher_.change(pollable, before, interest);
}

bool Loop::watch_internal(Pollable& pollable) {
  internal_.push_back(&pollable);
  if (watcher_.watch_internal(pollable)) return true;
  internal_.pop_back();
  return false;
}

void Loop::unwatch_internal(Pollable& pollable) {
  if (std::erase(internal_, &pollable) > 0) watcher_.unwatch_internal(pollable);
}

// --- For channels ---

void Loop::enqueue(Channel& channel) {
  if (scheduler_.is_queued(channel)) return scheduler_.enqueue(channel);
  scheduler_.enqueue(channel);
  set_wake_time();
}

void Loop::enqueue_exclusive(Channel& channel) {
  if (scheduler_.is_queued(channel)) return;
  scheduler_.enqueue_exclusive(channel);
  set_wake_time();
}

void Loop::defer(Channel& channel) {
  if (std::exchange(channel.is_deferred, true)) return;
  deferred_.push(channel);
  set_wake_time();  // also for a loop that a callback runs
}

void Loop::release_later(Channel& channel) {
  --channel_count_;
  if (!channel.is_counted()) --uncounted_;
  scheduler_.remove(channel);
  if (!std::exchange(channel.is_deferred, true)) closed_.push(channel);
}

// A channel that was closed while it was deferred is released by run_deferred(), or when nothing is served any more.
void Loop::release_closed() {
  for (std::size_t left = was_stopped_ ? deferred_.size() : 0; left > 0; --left) {
    auto& channel = static_cast<Channel&>(deferred_.pop());
    (channel.is_closed() ? closed_ : deferred_).push(channel);
  }
  do {
    while (!closed_.empty()) static_cast<Channel&>(closed_.pop()).release();
    free_disposed();
  } while (!closed_.empty());
}

void Loop::dispose(std::unique_ptr<Disposable> disposable) {
  disposed_.push(*disposable.release());
  if (!in_round()) free_disposed();
}

void Loop::free_disposed() {
  while (!disposed_.empty()) delete &disposed_.pop();
}

std::unique_ptr<Loop::ReceiveBuffer> Loop::borrow_receive_buffer() {
  // Nested calls of service take one of their own.
  if (spare_receive_buffer_ != nullptr) return std::move(spare_receive_buffer_);
  return std::unique_ptr<ReceiveBuffer>(new ReceiveBuffer);  // not cleared
}

// --- Memory ---

// Output that the kernel takes at once does not count, so the queues are flushed first.
void Loop::enforce_memory_limit() {
  if (!memory_.is_above_high_watermark()) return;
  batch_.flush();
  try {
    if (memory_.is_above_high_watermark()) shed_largest();
  } catch (const std::bad_alloc&) {  // there will be another time
  }
}

// Many small ones in one go, so that it takes little time for each of them.
void Loop::shed_largest() {
  std::vector<std::pair<std::size_t, Channel*>> sizes;
  for (Pollable* const pollable : watched_) {
    auto* const channel = dynamic_cast<Channel*>(pollable);
    if (channel == nullptr) continue;
    if (const std::size_t bytes = channel->held_bytes(); bytes > 0) sizes.emplace_back(bytes, channel);
  }
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  for (const auto& [bytes, channel] : sizes) {
    if (memory_.is_below_low_watermark() || was_stopped_) return;
    channel->shed();
  }
}

}  // namespace websockets
