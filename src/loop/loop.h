// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/intrusive.h"
#include "base/memory_budget.h"
#include "base/output_queue.h"
#include "base/result.h"
#include "loop/batch_io.h"
#include "loop/channel.h"
#include "loop/descriptor_observer.h"
#include "loop/disposable.h"
#include "loop/loop_stats.h"
#include "loop/scheduler.h"
#include "loop/watcher.h"
#include "net/driver.h"
#include "net/timer_wheel.h"

namespace websockets {

struct LoopOptions {
  std::string driver;                        // as for make_driver(), or "io_uring"
  DescriptorObserver* observer = nullptr;    // of an outer loop; it outlives the loop
  bool announces_one = false;                // to the observer: one descriptor that stands for all
  std::size_t max_memory_bytes = 0;          // that wait for all channels together; 0: any number
  std::uint64_t linger_timeout_ms = 10'000;  // for the peer to end a channel that drains, from the last byte it took
};

// The owner of a loop, which is called in each round. The calls may do anything.
class LoopOwner {
 public:
  // Whether do_work() would do something.
  virtual bool has_work() const = 0;
  // In each round, after the timers. Returns whether something was done.
  virtual bool do_work() = 0;
  // At the end of each round of the own loop, or of an outer one.
  virtual void on_served() = 0;
  // At the end of the outermost round, when closed channels were released; it closes no channels.
  virtual void on_round_end() = 0;

 protected:
  ~LoopOwner() = default;
};

// One reactor: waits for descriptors, serves those that are ready, timers, flows that have more to do, and what was put
// off; sends what was written at the end of a batch; releases closed channels when no code of them can be on the stack.
// It may be a descriptor for another loop, or announce its descriptors to one: see Watcher.
class Loop final : private ReadyHandler {
 public:
  Loop(const LoopOptions& options, LoopOwner& owner);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Before anything else. Error: why it cannot be used.
  Error open();
  // Serves nothing any more. Its own descriptors are closed when the outermost round ends.
  void stop() { was_stopped_ = true; }
  bool is_stopped() const { return was_stopped_; }
  // Tells the observer that its own descriptor ends.
  void close() { watcher_.close(); }
  // In a child after a fork, and in its parent when the child serves instead: gives up what both share, without a word
  // to the observer, who is forgotten.
  void abandon() { watcher_.abandon(); }
  // In a child after a fork: what is on the stack will never return.
  void forget_rounds() { depth_ = 0; }

  // --- Serving ---

  // Serves what is outstanding. 0: does not wait; above: waits at most so long, and returns as soon as something was
  // served; below: waits without end. A signal ends the wait. May be called from within a callback.
  void service(int timeout_ms);
  // Serves one descriptor that was announced to an outer loop, or any other of this loop. Never waits. Returns whose it
  // is; nullptr: the loop's own, or nobody's. To be called within a Round.
  Pollable* service_descriptor(int fd);
  // A descriptor that is readable while service(0) has something to do; Error: this system has none.
  Result<int> poll_descriptor();
  // Whether somebody has asked for that.
  bool is_pollable() const { return watcher_.is_woken(); }
  // For how long service() may be left uncalled when that descriptor is not readable, in milliseconds; -1: without end.
  int idle_ms();
  // Makes the own loop where there is none, or a new one in place of it, and watches everything there. Error: not
  // everything can be watched, so nothing is.
  Error open_own_loop(bool pollable_driver);
  bool has_own_loop() const { return watcher_.has_own_loop(); }

  // While a round exists, channels that were closed stay in memory: their code may be on the stack. Output that is
  // queued meanwhile leaves at the end of the outermost round. Every call that may lead to a handler is made within
  // one.
  class Round {
   public:
    explicit Round(Loop& loop) : loop_(loop) { loop_.enter(); }
    ~Round() { loop_.leave(); }
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;

   private:
    Loop& loop_;
  };
  // What a Round does, for an owner who cannot have one as a member.
  void enter() { ++depth_; }
  void leave() {
    if (depth_ == 1) end_round();
    --depth_;
  }
  bool in_round() const { return depth_ > 0; }
  // Destroys it when no code of it can be on the stack: at the end of the outermost round, behind the channels that
  // were closed; outside of rounds at once.
  void dispose(std::unique_ptr<Disposable> disposable);

  // --- Time ---

  // Of the round; not later than now.
  std::uint64_t now_ms() const { return now_ms_; }
  // From now on, however long ago the round has begun.
  void schedule(Timer& timer, std::uint64_t wait_ms);
  // Times are those of monotonic_ms().
  void schedule_at(Timer& timer, std::uint64_t time_ms);
  void cancel(Timer& timer) { timers_.cancel(timer); }

  // --- Descriptors ---

  // Finds it by its descriptor from now on, and watches it again in an own loop that is made later. For those that are
  // announced.
  void add(Pollable& pollable);
  void remove(Pollable& pollable);
  // nullptr: it is not of this loop.
  Pollable* find(int fd) const;
  // Changes what it is watched for. False with errno set: the system is short of memory or of watches. May call the
  // observer, last.
  bool watch(Pollable& pollable, unsigned interest);
  // Watches a descriptor of the library's own for reading, which no outer loop is told of. False with errno set: it
  // cannot be. Throws std::bad_alloc.
  bool watch_internal(Pollable& pollable);
  void unwatch_internal(Pollable& pollable);
  // Whether an outer loop is told of each descriptor.
  bool announces_each() const { return watcher_.announces_each(); }

  // --- For channels ---

  Scheduler<Channel>& scheduler() { return scheduler_; }
  // One quantum, or more of them, after the others.
  void enqueue(Channel& channel);
  void enqueue_exclusive(Channel& channel);
  void defer(Channel& channel);
  void cork(Channel& channel) { batch_.cork(channel); }
  void begin(Channel&) { ++channel_count_; }
  void leave_out_of_count() { ++uncounted_; }
  void release_later(Channel& channel);
  bool has_sent_much() const { return in_round() && scheduler_.has_sent_much(); }
  void note_sent(std::size_t bytes) {
    stats_.bytes_sent += bytes;
    scheduler_.charge_sent(bytes);
  }
  std::uint64_t linger_timeout_ms() const { return linger_timeout_ms_; }
  OutputPool& output_pool() { return output_pool_; }
  MemoryBudget& memory() { return memory_; }
  LoopStats& stats() { return stats_; }
  // That are not closed, without the library's own.
  std::size_t channel_count() const { return channel_count_ - uncounted_; }

  static constexpr std::size_t kReceiveBytes = 256U << 10U;
  using ReceiveBuffer = std::array<std::uint8_t, kReceiveBytes>;
  std::unique_ptr<ReceiveBuffer> borrow_receive_buffer();
  void give_back(std::unique_ptr<ReceiveBuffer> buffer) { spare_receive_buffer_ = std::move(buffer); }

 private:
  void on_ready(std::span<const Ready> group) override;
  bool serve_once(int timeout_ms);
  bool serve_timers_and_deferred();
  bool run_deferred();
  bool run_flows();
  bool has_something_to_do() const;
  int wait_ms(std::uint64_t deadline_ms);
  void set_wake_time();
  void enforce_memory_limit();
  void shed_largest();
  void release_closed();
  void free_disposed();
  void end_round();  // throws nothing, however short memory is

  LoopOwner& owner_;
  Watcher watcher_;
  std::string driver_;
  std::uint64_t linger_timeout_ms_;
  std::uint64_t now_ms_;
  TimerWheel timers_;
  MemoryBudget memory_;
  OutputPool output_pool_;
  LoopStats stats_;
  Scheduler<Channel> scheduler_;
  BatchIo batch_{watcher_};
  std::vector<Pollable*> watched_;   // by descriptor
  std::vector<Pollable*> internal_;  // what watch_internal() was given
  IntrusiveQueue<ChannelPlaces, &ChannelPlaces::next_deferred> deferred_;
  IntrusiveQueue<ChannelPlaces, &ChannelPlaces::next_deferred> closed_;  // but for those in deferred_
  IntrusiveQueue<Disposable, &Disposable::next_disposed> disposed_;
  std::unique_ptr<ReceiveBuffer> spare_receive_buffer_;
  std::size_t channel_count_ = 0;
  std::size_t uncounted_ = 0;  // of these
  std::size_t served_ = 0;     // descriptors, since the last round of flows
  int depth_ = 0;
  bool was_stopped_ = false;
};

}  // namespace websockets
