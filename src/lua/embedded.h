// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "lua/compat.h"

namespace websockets::lua {

// Runs a Lua file that is part of the module, and returns what it returns, as `require` wants it. The arguments of the
// function that calls this are passed on.
inline int run_embedded(lua_State* L, const char* name, const unsigned char* source, std::size_t size) {
  const int arguments = lua_gettop(L);
  if (luaL_loadbuffer(L, reinterpret_cast<const char*>(source), size, name) != 0) return lua_error(L);
  lua_insert(L, 1);
  lua_call(L, arguments, 1);
  return 1;
}

}  // namespace websockets::lua
