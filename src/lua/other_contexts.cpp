// SPDX-License-Identifier: MIT
#include "lua/other_contexts.h"

#include "lua/entry.h"
#include "lua/lua_context.h"
#include "lua/shared_state.h"
#include "lua/wrap_context.h"
#include "server/context.h"

namespace websockets::lua {

void destroy_others(LuaContext& ours) {
  lua_State* const L = ours.calls().state();
  const int top = lua_gettop(L);
  if (lua_checkstack(L, 16) == 0) return;
  push_shared_table(L);
  lua_rawgeti(L, -1, kContexts);
  lua_pushnil(L);
  while (lua_next(L, top + 2) != 0) {
    LuaContext* const other = context_at(L, top + 4);
    if (other != nullptr && other != &ours && other->is_open()) {
      get_user_table(L, top + 4);
      const Entry entry(*other, L, top + 5);
      other->context().destroy();
    }
    lua_settop(L, top + 3);
  }
  lua_settop(L, top);
}

}  // namespace websockets::lua
