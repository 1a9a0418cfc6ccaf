// SPDX-License-Identifier: MIT
#pragma once

extern "C" {
#include <lauxlib.h>
#include <lua.h>
}

#include <cstddef>
#include <cstdlib>

// The differences between Lua 5.1 (and LuaJIT), 5.2, 5.3 and from 5.4 on, as far as the binding meets them.

namespace websockets::lua {

// luaL_error, for compilers that should know that it does not return.
template <typename... Arguments>
[[noreturn]] void raise(lua_State* L, const char* format, Arguments... arguments) {
  luaL_error(L, format, arguments...);
  std::abort();
}

// The one value that can be attached to a userdata. It is a table, or nothing.
inline void get_user_table(lua_State* L, int index) {
#if LUA_VERSION_NUM >= 504
  lua_getiuservalue(L, index, 1);
#elif LUA_VERSION_NUM >= 502
  lua_getuservalue(L, index);
#else
  lua_getfenv(L, index);
#endif
}

// Takes the table from the top of the stack.
inline void set_user_table(lua_State* L, int index) {
#if LUA_VERSION_NUM >= 504
  lua_setiuservalue(L, index, 1);
#elif LUA_VERSION_NUM >= 502
  lua_setuservalue(L, index);
#else
  lua_setfenv(L, index);
#endif
}

inline void* new_userdata(lua_State* L, std::size_t size) {
#if LUA_VERSION_NUM >= 504
  return lua_newuserdatauv(L, size, 1);
#else
  return lua_newuserdata(L, size);
#endif
}

// Of a userdata, in bytes.
inline std::size_t raw_length(lua_State* L, int index) {
#if LUA_VERSION_NUM >= 502
  return lua_rawlen(L, index);
#else
  return lua_objlen(L, index);
#endif
}

// Sets functions in the table on top of the stack: luaL_setfuncs, without upvalues.
inline void set_functions(lua_State* L, const luaL_Reg* functions) {
  for (; functions->name != nullptr; ++functions) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

}  // namespace websockets::lua
