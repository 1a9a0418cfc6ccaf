// SPDX-License-Identifier: MIT
#include "lua/default_context.h"

#include "lua/caller_line.h"
#include "lua/entry.h"
#include "lua/lua_context.h"
#include "lua/served_along.h"
#include "lua/shared_state.h"
#include "lua/wrap_context.h"

namespace websockets::lua {
namespace {

// Calls the function at `host` with the context.
void give_to(lua_State* L, int host, LuaContext& context) {
  luaL_checkstack(L, 16, "websocket");
  const int top = lua_gettop(L);
  push_context(L, context);
  get_user_table(L, -1);
  lua_pushvalue(L, host);
  lua_pushvalue(L, top + 1);
  lua_call(L, 1, 2);
  if (context_at(L, top + 1) == &context && context.is_open()) {
    lua_rawseti(L, top + 2, kOnDelFd);
    lua_rawseti(L, top + 2, kOnAddFd);
    enter(L, context, top + 2, [&] { context.announce_while_busy(); });
  }
  lua_settop(L, top);
}

// The default context is served by the adapter that came last, if there is one.
void give_to_host(lua_State* L, LuaContext& context) {
  if (context.is_announced_while_busy()) return;
  push_shared_table(L);
  lua_rawgeti(L, -1, kHost);
  lua_rawgeti(L, -1, 1);
  if (lua_isfunction(L, -1)) give_to(L, lua_gettop(L), context);
  lua_pop(L, 3);
}

// Nobody serves it along any more.
void detach(SharedState& shared) {
  shared.default_context = nullptr;
  for (ServedAlong* each = shared.served_along; each != nullptr; each = each->outer()) each->detach();
}

// Pushes the context by whose spawn() or handler the running coroutine was made, whoever has resumed it. False, and
// nothing else: it is no such.
bool push_context_of_thread(lua_State* L) {
  const int top = lua_gettop(L);
  push_shared_table(L);
  lua_rawgeti(L, -1, kThreads);
  lua_pushthread(L);
  lua_rawget(L, -2);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "context");
    if (!lua_isnil(L, -1)) {
      lua_replace(L, top + 1);
      lua_settop(L, top + 1);
      return true;
    }
  }
  lua_settop(L, top);
  return false;
}

// The context on top of the stack.
LuaContext& check_open(lua_State* L) {
  LuaContext* const context = context_at(L, -1);
  if (context == nullptr || !context->is_open()) raise_at_caller(L, "websocket context destroyed");
  return *context;
}

}  // namespace

LuaContext* find_default_context(const SharedState& shared) {
  LuaContext* const context = shared.default_context;
  return context != nullptr && context->is_open() ? context : nullptr;
}

LuaContext& push_default_context(lua_State* L) {
  luaL_checkstack(L, 8, "websocket");
  SharedState& shared = shared_state(L);
  if (find_default_context(shared) == nullptr) {
    detach(shared);  // from one that is being destroyed: this is a callback of it
    lua_pushcfunction(L, create_context);
    lua_newtable(L);
    lua_call(L, 1, 1);
    push_shared_table(L);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, kDefaultContext);
    shared.default_context = context_at(L, -2);
    lua_pop(L, 2);
    give_to_host(L, *shared.default_context);
    if (shared.default_context == nullptr) raise(L, "websocket context destroyed");  // by the host
  }
  push_context(L, *shared.default_context);
  return *shared.default_context;
}

LuaContext& push_current_context(lua_State* L) {
  luaL_checkstack(L, 8, "websocket");
  LuaContext* const running = shared_state(L).running;
  const bool is_callback = running != nullptr && running->calls().state() == L;
  if (!is_callback && push_context_of_thread(L)) return check_open(L);
  if (running == nullptr || !running->is_open()) return push_default_context(L);
  push_context(L, *running);
  return *running;
}

void forget_default_context(LuaContext& context) {
  SharedState& shared = context.shared();
  if (shared.default_context != &context) return;
  detach(shared);
  lua_State* const L = context.calls().state();
  if (lua_checkstack(L, 4) == 0) return;
  push_shared_table(L);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, kDefaultContext);
  lua_pop(L, 1);
}

int host_context(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 2);
  if (LuaContext* const context = context_at(L, 2)) {
    give_to(L, 1, *context);
    return 0;
  }
  push_shared_table(L);
  lua_rawgeti(L, 3, kHost);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 4, 1);
  LuaContext* const context = find_default_context(shared_state(L));
  if (context != nullptr) give_to_host(L, *context);
  return 0;
}

}  // namespace websockets::lua
