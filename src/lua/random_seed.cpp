// SPDX-License-Identifier: MIT
#include "lua/random_seed.h"

#include <openssl/rand.h>

extern "C" {
#include <lualib.h>  // which tells LuaJIT
}

#include <array>
#include <cstdint>

namespace websockets::lua {
namespace {

// What each math.randomseed() takes: from Lua 5.4 on all bits of two integers; LuaJIT those of one number; else what
// fits into an int, by which it seeds the C library.
int push_seed(lua_State* L) {
  std::array<std::uint64_t, 2> bits{};
  RAND_bytes(reinterpret_cast<unsigned char*>(bits.data()), sizeof bits);
#if LUA_VERSION_NUM >= 504
  for (const std::uint64_t half : bits) lua_pushinteger(L, static_cast<lua_Integer>(half));
  return 2;
#elif defined(LUA_JITLIBNAME)
  lua_pushnumber(L, static_cast<lua_Number>(bits[0] >> 11U));
  return 1;
#else
  lua_pushinteger(L, static_cast<lua_Integer>(bits[0] >> 33U));
  return 1;
#endif
}

}  // namespace

void seed_random(lua_State* L) {
  const int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_getfield(L, -1, "math");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "randomseed");
    if (lua_isfunction(L, -1)) lua_call(L, push_seed(L), 0);
  }
  lua_settop(L, top);
}

}  // namespace websockets::lua
