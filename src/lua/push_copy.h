// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"
#include "lua/guarded.h"

namespace websockets::lua {

// Pushes what `push` makes of what `take` returns, which it is given as a light userdata: a copy of what the engine
// has. Making a table may run finalizers, which may change the engine's. The copy is freed whether or not `push`
// succeeds.
template <typename Take>
int push_copy(lua_State* L, lua_CFunction push, Take take) {
  luaL_checkstack(L, 4, "websocket");
  lua_pushcfunction(L, push);
  int failed = 0;
  guarded(L, [&] {
    auto copy = take();
    lua_pushlightuserdata(L, &copy);
    failed = lua_pcall(L, 1, 1, 0);
  });
  return failed == 0 ? 1 : lua_error(L);
}

}  // namespace websockets::lua
