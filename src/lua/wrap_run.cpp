// SPDX-License-Identifier: MIT
// The methods of a context that begin and end its being served: run, stop, shutdown.
#include "lua/wrap_run.h"

#include <cmath>
#include <csignal>

#include "lua/push.h"
#include "lua/wrap_context.h"
#include "lua/wrap_websocket.h"
#include "server/context.h"
#include "server/runner.h"

namespace websockets::lua {
namespace {

constexpr double kMaxSeconds = 1e9;
constexpr double kShutdownSeconds = 5;
constexpr int kSignalStatus = 128;  // is added to a signal's number, as shells do it

std::uint64_t check_shutdown_ms(lua_State* L, int index) {
  const auto seconds = static_cast<double>(luaL_optnumber(L, index, kShutdownSeconds));
  luaL_argcheck(L, seconds >= 0 && seconds <= kMaxSeconds, index, "a number of seconds expected");
  return static_cast<std::uint64_t>(std::ceil(seconds * 1000));
}

const char* name_of(int signal) { return signal == 0 ? "stop" : signal == SIGINT ? "SIGINT" : "SIGTERM"; }

// Nothing could ever happen, but a signal.
bool has_nothing_to_wait_for(LuaContext& context) {
  Context& engine = context.context();
  return engine.listener_count() == 0 && engine.loop().channel_count() == 0 && !context.timers().has_pending();
}

int run(lua_State* L) {
  lua_settop(L, 2);
  const std::uint64_t timeout_ms = check_shutdown_ms(L, 2);
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  ErrorCopy why;
  int signal = 0;
  bool was_cut_short = false;
  bool has_nothing = false;
  guarded(L, [&] {
    Runner runner(context.context(), timeout_ms);
    const Error error = runner.open();
    why = error;
    for (bool goes_on = !error; goes_on;) {
      has_nothing = has_nothing_to_wait_for(context);
      if (has_nothing) return;
      const Entry entry(context, L, callbacks);
      goes_on = runner.serve() && !context.calls().is_interrupted();
    }
    signal = runner.signal();
    was_cut_short = runner.was_cut_short();
  });
  context.calls().raise_interruption(L, callbacks);
  if (has_nothing) return luaL_error(L, "websocket context listens nowhere and has nothing to wait for");
  if (why) return push_error(L, why);
  lua_pushinteger(L, was_cut_short ? kSignalStatus + signal : 0);
  lua_pushstring(L, name_of(signal));
  return 2;
}

int stop(lua_State* L) {
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  enter(L, context, callbacks, [&] {
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

const luaL_Reg kContextRunMethods[] = {{"run", run}, {"stop", stop}, {"shutdown", shutdown}, {nullptr, nullptr}};

}  // namespace websockets::lua
