// SPDX-License-Identifier: MIT
#include "lua/default_context.h"

#include "lua/lua_context.h"
#include "lua/served_along.h"
#include "lua/shared_state.h"
#include "lua/wrap_context.h"

namespace websockets::lua {

LuaContext& push_default_context(lua_State* L) {
  luaL_checkstack(L, 8, "websocket");
  SharedState& shared = shared_state(L);
  if (shared.default_context == nullptr) {
    lua_pushcfunction(L, create_context);
    lua_newtable(L);
    lua_call(L, 1, 1);
    push_shared_table(L);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, kDefaultContext);
    shared.default_context = context_at(L, -2);
    lua_pop(L, 2);
  }
  push_context(L, *shared.default_context);
  return *shared.default_context;
}

LuaContext& push_current_context(lua_State* L) {
  LuaContext* const running = shared_state(L).running;
  if (running == nullptr || !running->is_open()) return push_default_context(L);
  push_context(L, *running);
  return *running;
}

void forget_default_context(LuaContext& context) {
  SharedState& shared = context.shared();
  if (shared.default_context != &context) return;
  shared.default_context = nullptr;
  for (ServedAlong* each = shared.served_along; each != nullptr; each = each->outer()) each->detach();
  lua_State* const L = context.calls().state();
  if (lua_checkstack(L, 4) == 0) return;
  push_shared_table(L);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, kDefaultContext);
  lua_pop(L, 1);
}

}  // namespace websockets::lua
