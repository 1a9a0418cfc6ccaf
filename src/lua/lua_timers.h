// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "lua/compat.h"
#include "net/timer_wheel.h"

namespace websockets::lua {

class LuaContext;
class LuaTimers;

// What lies behind a timer's userdata. The callbacks table keeps it, within a closure, while it is pending.
struct LuaTimer {
  static constexpr char kType[] = "websockets.timer";
  // The upvalues of the closure.
  static constexpr int kFunctionUpvalue = 1;
  static constexpr int kTimerUpvalue = 2;

  LuaTimers* timers;  // null: it will not be called any more
  int slot;           // of the closure
  std::uint64_t number;
  double due_ms;
  double start_ms;
  double interval_ms;  // 0: once
};

// The timers of one context, by one of the engine's: they are called in the order in which they are due, and those that
// are due at the same time in the order in which they were made.
class LuaTimers final : public Timer {
 public:
  explicit LuaTimers(LuaContext& context) : context_(context) {}

  // Throws std::bad_alloc, and leaves all as it was then. `timer` has its slot.
  void start(LuaTimer& timer, double delay_ms, bool repeats);
  // It will not be called any more, and nothing is kept for it.
  void stop(lua_State* L, int callbacks, LuaTimer& timer);
  void stop_all(lua_State* L, int callbacks);
  // All are due so much later.
  void delay_all(double delay_ms);
  bool has_pending() const { return !pending_.empty(); }
  bool is_running() const;  // not once the context is destroyed

  void on_timeout() override;

 private:
  using Key = std::pair<double, std::uint64_t>;
  using Pending = std::map<Key, LuaTimer*>;
  static Key key_of(const LuaTimer& timer) { return {timer.due_ms, timer.number}; }
  void schedule();
  void call(Pending::node_type node);

  LuaContext& context_;
  Pending pending_;
  std::uint64_t last_number_ = 0;
};

}  // namespace websockets::lua
