// SPDX-License-Identifier: MIT
// The methods of a context that begin and end its being served: run, stop, shutdown.
#include "lua/wrap_run.h"

#include <cmath>

#include "cluster/program_deployment.h"
#include "lua/default_context.h"
#include "lua/lua_workers.h"
#include "lua/push.h"
#include "lua/run_result.h"
#include "lua/served_along.h"
#include "lua/shared_state.h"
#include "lua/wrap_context.h"
#include "lua/wrap_websocket.h"
#include "lua/wrap_workers.h"
#include "server/context.h"
#include "server/runner.h"

namespace websockets::lua {
namespace {

constexpr double kMaxSeconds = 1e9;
constexpr std::uint64_t kShutdownMs = 5'000;

std::uint64_t check_shutdown_ms(lua_State* L, int index) {
  if (lua_isnoneornil(L, index)) return kShutdownMs;
  const auto seconds = static_cast<double>(luaL_checknumber(L, index));
  luaL_argcheck(L, seconds >= 0 && seconds <= kMaxSeconds, index, "a number of seconds expected");
  return static_cast<std::uint64_t>(std::ceil(seconds * 1000));
}

// Raises what has interrupted a callback of the default context, which was served along.
void raise_interruption_along(lua_State* L, LuaContext& context) {
  LuaContext* const other = context.shared().default_context;
  if (other == nullptr || !other->calls().is_interrupted()) return;
  push_context(L, *other);
  get_user_table(L, -1);
  other->calls().raise_interruption(L, lua_gettop(L));
}

// Serves the context at 1 until it is stopped. Returns false if it was not: there is nothing left to wait for.
bool run_context(lua_State* L, LuaContext& context, int callbacks, std::uint64_t timeout_ms, int& results) {
  ErrorCopy why;
  int signal = 0;
  bool was_cut_short = false;
  bool is_idle = false;
  guarded(L, [&] {
    Runner runner(context.context(), timeout_ms);
    ServedAlong along(context);
    const Error error = runner.open();
    why = error;
    for (bool goes_on = !error; goes_on;) {
      is_idle = context.is_idle() && along.is_idle();
      if (is_idle) return;
      const Entry entry(context, L, callbacks);
      runner.serve(along.prepare());
      along.finish();  // which may end the context, too
      goes_on = context.is_open() && !context.calls().is_interrupted() && !along.is_interrupted();
    }
    signal = runner.signal();
    was_cut_short = runner.was_cut_short();
  });
  context.calls().raise_interruption(L, callbacks);
  raise_interruption_along(L, context);
  results = 2;
  if (is_idle) return false;
  if (why) {
    results = push_error(L, why);
    return true;
  }
  results = push_run_result(L, signal, was_cut_short);
  return true;
}

int run(lua_State* L) {
  lua_settop(L, 2);
  std::uint64_t timeout_ms = lua_istable(L, 2) ? kShutdownMs : check_shutdown_ms(L, 2);
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  if (read_run_arguments(L, context, callbacks, 2, timeout_ms)) return run_by_workers(L, context, callbacks);
  if (context.context().listener_count() > 0) {
    guarded(L, [&] {
      announce_ready();
      context.context().listeners().own_files();
    });
  }
  int results;
  if (run_context(L, context, callbacks, timeout_ms, results)) return results;
  return luaL_error(L, "websocket context listens nowhere and has nothing to wait for");
}

int stop(lua_State* L) {
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  enter(L, context, callbacks, [&] {
    if (is_run_by_workers(context)) return context.find_workers()->stop();
    Runner* const runner = context.context().runner();
    if (runner != nullptr) runner->stop();
  });
  return 0;
}

int shutdown(lua_State* L) {
  lua_settop(L, 4);
  const std::uint64_t timeout_ms = check_shutdown_ms(L, 2);
  const CloseArguments arguments = check_close_arguments(L, 3, CloseCode::kGoingAway);
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  enter(L, context, callbacks, [&] { context.context().shut_down(timeout_ms, arguments.code, arguments.reason); });
  return 0;
}

}  // namespace

int run_default_context(lua_State* L) {
  lua_settop(L, 1);
  const std::uint64_t timeout_ms = check_shutdown_ms(L, 1);
  int results = 2;
  if (LuaContext* const context = find_default_context(shared_state(L))) {
    push_context(L, *context);
    lua_replace(L, 1);
    int callbacks;
    check_served_here(L, callbacks);
    if (run_context(L, *context, callbacks, timeout_ms, results)) return results;
  }
  lua_pushinteger(L, 0);
  lua_pushliteral(L, "done");
  return results;
}

const luaL_Reg kContextRunMethods[] = {{"run", run}, {"stop", stop}, {"shutdown", shutdown}, {nullptr, nullptr}};

}  // namespace websockets::lua
