// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cluster/control_channel.h"
#include "cluster/process_signals.h"
#include "cluster/worker_backplane.h"
#include "cluster/worker_status.h"
#include "net/timer_wheel.h"
#include "server/context.h"
#include "server/stats.h"

namespace websockets {

class Worker;
class WorkerRings;

class WorkerOwner {
 public:
  // In the new process, before it accepts: gives up what is the supervisor's, and begins what each worker has for
  // itself. Error: it cannot begin, and ends.
  virtual Error on_worker(Worker& worker) = 0;
  // Serves the context until it is destroyed, as Worker::serve() does. Returns the exit status of the process.
  virtual int serve(Worker& worker) = 0;
  // What another worker (by its id) has sent was lost here. Called within a round; may do anything.
  virtual void on_gap(int id) = 0;

 protected:
  ~WorkerOwner() = default;
};

// A process that serves a context beside others, in a slot of a pool: what its supervisor tells it, what it tells of
// itself, what the other workers send.
class Worker final : private ControlHandler,
                     private ProcessSignalsHandler,
                     private ConnectionBalance,
                     private WorkerBackplaneOwner {
 public:
  struct Place {
    std::size_t slot;
    pid_t supervisor;
    std::uint64_t shutdown_ms;  // for a worker that ends on its own
    std::uint64_t beat_ms;      // how often it tells that its loop turns
  };

  // In the new process, which has nothing of the supervisor's open any more but the context, and in which all signals
  // are blocked. Everything outlives it. `control` is the worker's end.
  Worker(Context& context, WorkerStatus& status, WorkerRings& rings, WorkerOwner& owner, UniqueFd control,
         const Place& place);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Takes the context over, and serves it. Returns the exit status of the process.
  int run(ProcessSignals::Blocked& blocked);

  // --- For its owner ---

  int id() const { return static_cast<int>(place_.slot) + 1; }  // from 1
  int count() const { return static_cast<int>(status_.count()); }
  Context& context() { return context_; }
  WorkerStatus& status() { return status_; }
  // Tells the present numbers: those of the others are as they were at most a second ago.
  void publish_status() { status_.publish(place_.slot, context_.report()); }

  // Serves until the context is destroyed.
  int serve();
  // What serve() does in each round, for an owner with a loop of its own: it waits no longer than this,
  int wait_ms(int wanted_ms) const { return has_more() ? 0 : wanted_ms; }
  bool has_more() const { return backplane_.has_more(); }
  // and delivers between the rounds what other workers have sent.
  void deliver();

  // All workers are to end.
  void ask_to_stop();

 private:
  // Tells that the loop turns, and the numbers.
  class HeartbeatTimer final : public Timer {
   public:
    explicit HeartbeatTimer(Worker& worker) : worker_(worker) {}
    void on_timeout() override { worker_.beat(); }

   private:
    Worker& worker_;
  };

  Error begin(ProcessSignals::Blocked& blocked);
  void beat();
  void leave_listeners();
  void reload_certificates();

  void on_message(ControlChannel& channel, const ControlMessage& message) override;
  void on_end(ControlChannel& channel) override;
  void on_signal(int number, int count) override;
  bool is_above_mean(std::size_t connections) override;
  void on_gap(std::size_t slot) override { owner_.on_gap(static_cast<int>(slot) + 1); }

  Context& context_;
  WorkerStatus& status_;
  WorkerOwner& owner_;
  Place place_;
  ControlChannel control_;
  ProcessSignals signals_;
  WorkerBackplane backplane_;
  HeartbeatTimer heartbeat_{*this};
  std::uint64_t published_ms_ = 0;
  bool accepts_ = false;
};

}  // namespace websockets
