// SPDX-License-Identifier: MIT
#include "lua/userdata.h"

#include <sys/random.h>
#include <unistd.h>

namespace websockets::lua {
namespace {

// Where the system has no random bytes, where it has loaded the module has to do.
std::uintptr_t random_number() {
  std::uintptr_t number;
  if (getentropy(&number, sizeof number) != 0) number = reinterpret_cast<std::uintptr_t>(&random_number);
  return number;
}

}  // namespace

const std::uintptr_t kUserdataSecret = random_number();

void raise_type_error(lua_State* L, int index, const char* expected) {
  luaL_argerror(L, index, lua_pushfstring(L, "%s expected, got %s", expected, luaL_typename(L, index)));
  std::abort();
}

void push_metatable(lua_State* L, const char* name) {
  luaL_newmetatable(L, name);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable");
}

}  // namespace websockets::lua
