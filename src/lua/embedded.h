// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "lua/compat.h"
#include "lua/default_context.h"

namespace websockets::lua {

// Runs a Lua file that is part of the module, and returns what it returns, as `require` wants it. The arguments of the
// function that calls this are passed on; the last one is host_context().
inline int run_embedded(lua_State* L, const char* name, const unsigned char* source, std::size_t size) {
  const int arguments = lua_gettop(L) + 1;
  lua_pushcfunction(L, host_context);
  if (luaL_loadbuffer(L, reinterpret_cast<const char*>(source), size, name) != 0) return lua_error(L);
  lua_insert(L, 1);
  lua_call(L, arguments, 1);
  return 1;
}

}  // namespace websockets::lua
