// SPDX-License-Identifier: MIT
#include "lua/wrap_waits.h"

#include <utility>

#include "base/clock.h"
#include "lua/caller_line.h"
#include "lua/default_context.h"
#include "lua/describe_error.h"
#include "lua/inbox.h"
#include "lua/interruption.h"
#include "lua/lua_waits.h"
#include "lua/shared_state.h"
#include "lua/wrap_context.h"
#include "lua/wrap_receive.h"
#include "lua/wrap_websocket.h"
#include "websocket/session.h"

extern "C" int luaopen_websockets_waits(lua_State* L);

namespace websockets::lua {
namespace {

// --- Coroutines ---

// Whether a coroutine is suspended while a function is in progress.
int is_suspended_in(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTHREAD);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushboolean(L, lua::is_suspended_in(lua_tothread(L, 1), lua_topointer(L, 2)) ? 1 : 0);
  return 1;
}

// Returns the running coroutine, or false outside of coroutines. Raises in a callback, which cannot wait: the coroutine
// in which its context is served would. The argument says what is waited for.
int place(lua_State* L) {
  const LuaContext* const running = shared_state(L).running;
  if (running != nullptr && running->calls().state() == L) {
    raise_at_caller(L, "websocket %s inside a callback, which cannot wait: context:spawn starts a coroutine, which can",
                    luaL_checkstring(L, 1));
  }
  if (lua_pushthread(L) != 0) lua_pushboolean(L, 0);
  return 1;
}

// --- Errors ---

// Raises a text, where the module was called.
int raise_text(lua_State* L) { raise_at_caller(L, "%s", luaL_checkstring(L, 1)); }

int raise_self_error(lua_State* L, const char* expected) {
  raise_at_caller(L, "bad argument #1 to '%s' (%s expected, got %s)", luaL_checkstring(L, 2), expected,
                  luaL_typename(L, 1));
}

// Raises unless the first argument is a websocket: that of the function whose name is the second.
int check_websocket_of(lua_State* L) {
  return find_object<LuaWebsocket>(L, 1) != nullptr ? 0 : raise_self_error(L, LuaWebsocket::kType);
}

int check_context_of(lua_State* L) {
  return context_at(L, 1) != nullptr ? 0 : raise_self_error(L, "websockets.context");
}

// Whether the error of a coroutine is Ctrl-C.
int is_interruption(lua_State* L) {
  lua_settop(L, 1);
  lua_pushboolean(L, lua::is_interruption(L, 1) ? 1 : 0);
  return 1;
}

// --- Contexts ---

int now(lua_State* L) {
  lua_pushnumber(L, static_cast<lua_Number>(monotonic_us()) / 1e6);
  return 1;
}

// The one of the callback or coroutine that runs, else the default one.
int current_context(lua_State* L) {
  push_current_context(L);
  return 1;
}

int is_default(lua_State* L) {
  const LuaContext* const context = context_at(L, 1);
  lua_pushboolean(L, context != nullptr && context == find_default_context(shared_state(L)) ? 1 : 0);
  return 1;
}

int in_round(lua_State* L) {
  int callbacks;
  lua_pushboolean(L, check_context(L, callbacks).in_round() ? 1 : 0);
  return 1;
}

int is_idle(lua_State* L) {
  int callbacks;
  lua_pushboolean(L, check_context(L, callbacks).is_idle() ? 1 : 0);
  return 1;
}

// The table of kWaits of a context.
int waits(lua_State* L) {
  lua_settop(L, 1);
  int callbacks;
  check_served_here(L, callbacks);
  lua_rawgeti(L, callbacks, kWaits);
  if (lua_istable(L, -1)) return 1;
  lua_newtable(L);
  for (const char* name : {"threads", "watched", "others", "unread", "full", "detached"}) {
    lua_newtable(L);
    lua_setfield(L, -2, name);
  }
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "context");
  lua_pushvalue(L, -1);
  lua_rawseti(L, callbacks, kWaits);
  return 1;
}

// A thread of the context goes on at the end of the round.
int make_ready(lua_State* L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  LuaContext* const context = context_at(L, 1);
  if (context == nullptr) return 0;
  luaL_checkstack(L, 12, "websocket");
  get_user_table(L, 1);
  lua_pushvalue(L, 2);
  context->waits().make_ready(L, 3);
  if (context->is_open() && !context->in_round()) enter(L, *context, 3, [] {});
  return 0;
}

// What an error says that may be anything.
int describe(lua_State* L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  describe_error(L, 1);
  return 1;
}

// Tells on_error, or stderr. Arguments: a context, a websocket or nil, the message.
int report(lua_State* L) {
  luaL_checkstring(L, 3);
  lua_settop(L, 3);
  LuaContext* const context = context_at(L, 1);
  if (context == nullptr) return 0;
  const LuaWebsocket* const ws = find_object<LuaWebsocket>(L, 2);
  const int self = ws == nullptr || is_closed(*ws) ? kNoSlot : ws->self;
  luaL_checkstack(L, 12, "websocket");
  get_user_table(L, 1);
  enter(L, *context, 4, [&] { context->calls().report_failure(3, self, "error in a coroutine: "); });
  return 0;
}

// --- Events ---

// Whether threads wait for something that happens to a websocket, and are told of it.
int watch(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  const bool watches = lua_toboolean(L, 2) != 0;
  ws.has_waiters = watches;
  Session* const session = is_closed(ws) ? nullptr : session_of(ws);
  if (session != nullptr) session->set_notifies_progress(watches);
  return 0;
}

// Whether the connection is lost, which the websocket is about to be told of: nothing waits in its queue any more.
int is_broken(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const Session* const session = is_closed(ws) ? nullptr : session_of(ws);
  lua_pushboolean(L, session != nullptr && session->is_broken() ? 1 : 0);
  return 1;
}

// Whether what was sent before a websocket was closed is leaving still, or the peer's answer has not come.
int lingers(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 1);
  int callbacks = push_callbacks(L);
  LuaContext* const context = ws.closed_serial == 0 ? nullptr : find_context(L, callbacks);
  lua_pushboolean(L, context != nullptr && context->waits().lingers(ws) ? 1 : 0);
  return 1;
}

int await_end(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 1);
  int callbacks = push_callbacks(L);
  LuaContext* const context = find_context(L, callbacks);
  if (context != nullptr) guarded(L, [&] { context->waits().await_end(ws); });
  return 0;
}

constexpr luaL_Reg kCore[] = {
    {"await_end", await_end},
    {"check_context", check_context_of},
    {"check_websocket", check_websocket_of},
    {"current_context", current_context},
    {"describe", describe},
    {"in_round", in_round},
    {"is_broken", is_broken},
    {"is_default", is_default},
    {"is_idle", is_idle},
    {"is_interruption", is_interruption},
    {"is_suspended_in", is_suspended_in},
    {"lingers", lingers},
    {"make_ready", make_ready},
    {"now", now},
    {"place", place},
    {"raise", raise_text},
    {"report", report},
    {"waits", waits},
    {"watch", watch},
    {nullptr, nullptr},
};

// Pushes the methods of a type.
void push_methods(lua_State* L, const char* type) {
  luaL_getmetatable(L, type);
  lua_getfield(L, -1, "__index");
  lua_remove(L, -2);
}

}  // namespace

void register_waits(lua_State* L) {
  register_inbox(L);
  const int module = lua_gettop(L);
  lua_pushcfunction(L, luaopen_websockets_waits);
  lua_newtable(L);
  set_functions(L, kCore);
  set_functions(L, kReceiveCore);
  for (const auto& [name, token] : {std::pair{"done", &kIsDone}, {"again", &kAgain}}) {
    lua_pushlightuserdata(L, const_cast<char*>(token));
    lua_setfield(L, -2, name);
  }
  push_methods(L, "websockets.websocket");
  push_methods(L, "websockets.context");
  lua_pushvalue(L, module);
  push_shared_table(L);
  lua_newtable(L);  // the functions that LuaWaits calls
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, kWaitFunctions);
  lua_rawgeti(L, -2, kEndings);
  lua_rawgeti(L, -3, kThreads);
  lua_remove(L, -4);
  lua_call(L, 7, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_insert(L, -2);
  lua_setfield(L, -2, "websockets.waits");
  lua_settop(L, module);
}

}  // namespace websockets::lua
