// SPDX-License-Identifier: MIT
#include "lua/caller_line.h"

#include <cstring>

namespace websockets::lua {

void push_caller_line(lua_State* L) {
  lua_Debug frame;
  int level = 1;
  for (; lua_getstack(L, level, &frame) != 0; ++level) {
    lua_getinfo(L, "S", &frame);
    const bool is_embedded = std::strncmp(frame.source, kEmbeddedPrefix, std::strlen(kEmbeddedPrefix)) == 0;
    const bool has_left = std::strcmp(frame.what, "tail") == 0;  // in Lua 5.1
    if (!is_embedded && !has_left) break;
  }
  luaL_where(L, level);
}

}  // namespace websockets::lua
