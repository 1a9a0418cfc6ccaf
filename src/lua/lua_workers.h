// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "cluster/worker_pool.h"
#include "lua/compat.h"
#include "lua/worker_options.h"

namespace websockets::lua {

class LuaContext;

// The workers of one context, and the way from their events to Lua functions: in the process that runs them, and in
// each of them.
class LuaWorkers final : public WorkerPoolOwner {
 public:
  explicit LuaWorkers(LuaContext& context) : context_(context) {}
  LuaWorkers(const LuaWorkers&) = delete;
  LuaWorkers& operator=(const LuaWorkers&) = delete;

  RunOptions options;

  // Starts them, by this state, and returns when all have ended, in this process only: see WorkerPool::run(). Not
  // within an Entry. Throws std::bad_alloc.
  Result<WorkersEnd> run(lua_State* L, int callbacks);
  // All of them are to end. In any of the processes.
  void stop();
  // Whether run() runs, in whatever process.
  bool are_running() const { return L_ != nullptr; }
  // Which of them this process is; null: none.
  const Worker* worker() const { return worker_; }
  // What they tell of themselves, while run() runs; that of this worker is up to date.
  const WorkerStatus& status();

 private:
  Error on_worker(Worker& worker) override;
  int serve(Worker& worker) override;
  void on_gap(int id) override;
  void on_worker_exit(int id, std::string_view why) override;
  void on_report(std::string_view text) override;

  void begin_afresh(const Worker& worker);
  Error call_on_worker(const Worker& worker);
  void end_default_context();

  LuaContext& context_;
  lua_State* L_ = nullptr;  // that run() was called by
  int callbacks_ = 0;       // stack index of the callbacks table
  double begun_ms_ = 0;     // the time of run()
  WorkerPool* pool_ = nullptr;
  Worker* worker_ = nullptr;
};

}  // namespace websockets::lua
