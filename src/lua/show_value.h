// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// The value at the top of the stack, as it is shown in an error.
inline const char* show_value(lua_State* L) {
  switch (lua_type(L, -1)) {
    case LUA_TSTRING:
      return lua_pushfstring(L, "'%s'", lua_tostring(L, -1));
    case LUA_TNUMBER:
      lua_pushvalue(L, -1);
      return lua_tostring(L, -1);
    case LUA_TBOOLEAN:
      return lua_toboolean(L, -1) != 0 ? "true" : "false";
    default:
      return luaL_typename(L, -1);
  }
}

}  // namespace websockets::lua
