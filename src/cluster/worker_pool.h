// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cluster/control_channel.h"
#include "cluster/deployment.h"
#include "cluster/process_signals.h"
#include "cluster/slot_neighbours.h"
#include "cluster/worker.h"
#include "cluster/worker_rings.h"
#include "cluster/worker_slot.h"
#include "cluster/worker_status.h"
#include "loop/loop.h"
#include "net/timer_wheel.h"

namespace websockets {

class Context;

struct WorkerPoolOptions {
  std::size_t workers = 1;
  std::uint64_t shutdown_ms = 5'000;       // for the clients to close
  std::uint64_t hang_timeout_ms = 30'000;  // of a worker whose loop does not turn; 0: it may
  std::uint64_t drain_ms = 60'000;         // for all websockets to be closed when a new version serves
  Deployment* deployment = nullptr;        // outlives the pool
};

// Why the workers have ended, as Runner tells it.
struct WorkersEnd {
  int signal;
  bool was_cut_short;
};

class WorkerPoolOwner : public WorkerOwner {
 public:
  // In the supervisor. Both may do anything but destroy the pool. `why`: "exit 3", "signal 9 (Killed)", "hung",
  // "failed: " and the text of the error.
  virtual void on_worker_exit(int id, std::string_view why) = 0;
  // Something went wrong, and it goes on as it was.
  virtual void on_report(std::string_view text) = 0;

 protected:
  ~WorkerPoolOwner() = default;
};

// The workers that serve a context, and the supervisor of them, which is this process: it forks them, replaces those
// that have ended, tells them what its own signals ask for, and serves no client itself.
class WorkerPool final : private ControlHandler, private ProcessSignalsHandler, private DeploymentOwner {
 public:
  // All outlive the pool.
  WorkerPool(Context& context, const WorkerPoolOptions& options, WorkerPoolOwner& owner);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Returns in the supervisor, when all workers have ended and the context is destroyed. In a worker it never returns.
  // Error: they cannot be had, or all of the first ones have failed; the context is as it was. Once.
  Result<WorkersEnd> run();
  // From the owner's callbacks in the supervisor: all workers are to end gracefully.
  void stop();

  // In the supervisor, within run().
  const WorkerStatus& status() const { return *status_; }

 private:
  struct Member {
    WorkerSlot slot;
    std::unique_ptr<ControlChannel> control;
    std::string failure;  // why it ends
  };

  class IdleOwner final : public LoopOwner {
   public:
    bool has_work() const override { return false; }
    bool do_work() override { return false; }
    void on_served() override {}
    void on_round_end() override {}
  };

  class CheckTimer final : public Timer {
   public:
    explicit CheckTimer(WorkerPool& pool) : pool_(pool) {}
    void on_timeout() override { pool_.check(); }

   private:
    WorkerPool& pool_;
  };

  Error open();
  Error fork_worker(std::size_t number);
  [[noreturn]] void become_worker(std::size_t number, UniqueFd control, ProcessSignals::Blocked& blocked);
  void check();
  void reap();
  void on_exit(std::size_t number, int status);
  void replace(std::size_t number, std::uint64_t now_ms);
  void find_hung(std::uint64_t now_ms);
  void find_neighbours(std::uint64_t now_ms);
  void on_ready(std::size_t number);
  void end_all(const ControlMessage& message, std::uint64_t within_ms);
  void kill_all();
  void reload_certificates();
  std::uint64_t beat_ms() const;
  std::size_t number_of(const ControlChannel& channel) const;
  bool has_ended() const;

  void on_message(ControlChannel& channel, const ControlMessage& message) override;
  void on_end(ControlChannel&) override {}  // the signal of its end comes, too
  void on_signal(int number, int count) override;
  void on_new_version_ready() override;
  void on_new_version_failed(const std::string& why) override { owner_.on_report(why); }

  Context& context_;
  WorkerPoolOptions options_;
  WorkerPoolOwner& owner_;
  IdleOwner idle_owner_;
  Loop loop_;  // the supervisor's own: what is in that of the context is for the workers
  ProcessSignals signals_{loop_, *this};
  CheckTimer check_timer_{*this};
  std::unique_ptr<WorkerStatus> status_;
  std::unique_ptr<WorkerRings> rings_;
  std::vector<Member> members_;
  SlotNeighbours neighbours_;
  Error start_error_;  // why the first worker that failed did so
  std::size_t start_failures_ = 0;
  bool was_ready_ = false;                      // one of them
  bool was_complete_ = false;                   // all of them
  bool is_ending_ = false;                      // nobody is replaced any more
  bool is_stopping_ = false;                    // for another reason than a new version
  std::uint64_t kill_ms_ = WorkerSlot::kNever;  // when those that have not ended are killed
  WorkersEnd end_{0, false};
};

}  // namespace websockets
