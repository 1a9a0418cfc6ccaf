// SPDX-License-Identifier: MIT
#include "lua/lua_timers.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "loop/loop.h"
#include "lua/lua_context.h"

namespace websockets::lua {
namespace {

// One nanosecond, what the clock can tell. With much less, the number of ticks would be no number any more.
constexpr double kMinIntervalMs = 1e-6;

}  // namespace

bool LuaTimers::is_running() const { return context_.is_open(); }

void LuaTimers::start(LuaTimer& timer, double delay_ms, bool repeats) {
  timer.start_ms = monotonic_exact_ms();
  timer.due_ms = timer.start_ms + delay_ms;
  timer.interval_ms = repeats ? std::max(delay_ms, kMinIntervalMs) : 0;
  timer.number = last_number_ + 1;
  pending_.emplace(key_of(timer), &timer);
  ++last_number_;
  timer.timers = this;
  schedule();
}

void LuaTimers::stop(lua_State* L, int callbacks, LuaTimer& timer) {
  if (timer.timers == nullptr) return;
  timer.timers = nullptr;
  pending_.erase(key_of(timer));
  lua_rawgeti(L, callbacks, timer.slot);
  lua_getupvalue(L, -1, LuaTimer::kTimerUpvalue);
  lua_rawgeti(L, callbacks, kWeakContext);  // it does not keep the context any more
  set_user_table(L, -2);
  context_.callback_table().free_slot(L, callbacks, timer.slot);
  lua_pop(L, 2);
}

void LuaTimers::stop_all(lua_State* L, int callbacks) {
  while (!pending_.empty()) stop(L, callbacks, *pending_.begin()->second);
  schedule();
}

void LuaTimers::delay_all(double delay_ms) {
  Pending delayed;
  while (!pending_.empty()) {
    Pending::node_type node = pending_.extract(pending_.begin());
    node.mapped()->start_ms += delay_ms;
    node.mapped()->due_ms += delay_ms;
    node.key() = key_of(*node.mapped());
    delayed.insert(delayed.end(), std::move(node));
  }
  pending_ = std::move(delayed);
  schedule();
}

// What is passed already is due in the next round.
void LuaTimers::schedule() {
  if (!is_running()) return;
  if (pending_.empty()) return context_.loop()->cancel(*this);
  const double due_ms = pending_.begin()->first.first;
  context_.loop()->schedule_at(*this,
                               due_ms <= monotonic_exact_ms() ? 0 : static_cast<std::uint64_t>(std::ceil(due_ms)));
}

void LuaTimers::on_timeout() {
  const double now_ms = monotonic_exact_ms();
  const std::uint64_t last_number = last_number_;  // what is made meanwhile waits for the next round
  while (is_running() && !pending_.empty()) {
    const auto& [due_ms, number] = pending_.begin()->first;
    if (due_ms > now_ms || number > last_number) break;
    call(pending_.extract(pending_.begin()));
  }
  schedule();
}

// While it is called, a timer is not pending: a nested call of service does not call it again, but the others.
void LuaTimers::call(Pending::node_type node) {
  schedule();
  lua_State* const L = context_.calls().state();
  LuaTimer& timer = *node.mapped();
  lua_rawgeti(L, context_.calls().callbacks(), timer.slot);  // in memory until this returns, whatever the function does
  if (timer.interval_ms == 0) stop(L, context_.calls().callbacks(), timer);
  context_.calls().call(lua_gettop(L));
  if (timer.timers != nullptr) {
    // Ticks that were missed are left out; those that come do not drift.
    const double ticks = std::floor((monotonic_exact_ms() - timer.start_ms) / timer.interval_ms) + 1;
    timer.due_ms = timer.start_ms + (ticks * timer.interval_ms);
    node.key() = key_of(timer);
    pending_.insert(std::move(node));
  }
  lua_pop(L, 1);
}

}  // namespace websockets::lua
