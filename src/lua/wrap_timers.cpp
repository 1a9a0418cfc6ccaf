// SPDX-License-Identifier: MIT
// context:after, context:every, and timers.
#include "lua/wrap_timers.h"

#include <new>

#include "lua/lua_context.h"
#include "lua/lua_timers.h"
#include "lua/userdata.h"
#include "lua/wrap_context.h"

namespace websockets::lua {
namespace {

constexpr double kMaxSeconds = 1e9;

int call_function(lua_State* L) {
  lua_pushvalue(L, lua_upvalueindex(LuaTimer::kFunctionUpvalue));
  lua_pushvalue(L, lua_upvalueindex(LuaTimer::kTimerUpvalue));
  lua_call(L, 1, 0);
  return 0;
}

int make_timer(lua_State* L, bool repeats) {
  const auto seconds = static_cast<double>(luaL_checknumber(L, 2));
  luaL_argcheck(L, seconds >= 0 && seconds <= kMaxSeconds, 2, "a number of seconds expected");
  luaL_argcheck(L, seconds > 0 || !repeats, 2, "a number of seconds above 0 expected");
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  LuaTimer& timer = push_object<LuaTimer>(L);
  lua_pushvalue(L, callbacks);
  set_user_table(L, -2);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, call_function, 2);
  context.callback_table().set_slot(L, callbacks, timer.slot);
  bool is_short = false;
  try {
    context.timers().start(timer, seconds * 1000, repeats);
  } catch (const std::bad_alloc&) {
    is_short = true;
  }
  if (!is_short) {
    note_begin(L, context, callbacks);
    return 1;
  }
  context.callback_table().free_slot(L, callbacks, timer.slot);
  return luaL_error(L, "not enough memory");
}

int after(lua_State* L) { return make_timer(L, false); }

int every(lua_State* L) { return make_timer(L, true); }

LuaTimer& check_timer(lua_State* L) { return check_object<LuaTimer>(L, 1); }

bool is_pending(const LuaTimer& timer) { return timer.timers != nullptr && timer.timers->is_running(); }

int cancel(lua_State* L) {
  LuaTimer& timer = check_timer(L);
  const bool was_pending = is_pending(timer);
  if (was_pending) {
    luaL_checkstack(L, 6, "websocket");
    get_user_table(L, 1);
    timer.timers->stop(L, lua_gettop(L), timer);
  }
  lua_pushboolean(L, was_pending ? 1 : 0);
  return 1;
}

int to_string(lua_State* L) {
  lua_pushfstring(L, "timer: %p (%s)", lua_topointer(L, 1), is_pending(check_timer(L)) ? "pending" : "ended");
  return 1;
}

constexpr luaL_Reg kMethods[] = {{"cancel", cancel}, {nullptr, nullptr}};

constexpr luaL_Reg kMetamethods[] = {{"__tostring", to_string}, {nullptr, nullptr}};

}  // namespace

const luaL_Reg kContextTimerMethods[] = {{"after", after}, {"every", every}, {nullptr, nullptr}};

void register_timer(lua_State* L) {
  push_metatable(L, LuaTimer::kType);
  set_functions(L, kMetamethods);
  lua_newtable(L);
  set_functions(L, kMethods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

}  // namespace websockets::lua
