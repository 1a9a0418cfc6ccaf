// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>

#include "lua/compat.h"

namespace websockets::lua {

// What the names of the chunks begin with that are part of the module.
constexpr const char* kEmbeddedPrefix = "=websockets.";

// Pushes where the function is that has called the module ("script.lua:12: "); "" when it is not one in Lua. As
// luaL_where(L, 1) does it, but what lies between in the module's own Lua files does not count.
void push_caller_line(lua_State* L);

// luaL_error with that line.
template <typename... Arguments>
[[noreturn]] void raise_at_caller(lua_State* L, const char* format, Arguments... arguments) {
  push_caller_line(L);
  lua_pushfstring(L, format, arguments...);
  lua_concat(L, 2);
  lua_error(L);
  std::abort();
}

}  // namespace websockets::lua
