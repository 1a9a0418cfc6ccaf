// SPDX-License-Identifier: MIT
#include "lua/caller_line.h"

#include <cstring>

namespace websockets::lua {

namespace {

bool get_frame(lua_State* L, int level, lua_Debug& frame) {
  return lua_getstack(L, level, &frame) != 0 && lua_getinfo(L, "S", &frame) != 0;
}

bool is_embedded(const lua_Debug& frame) {
  return std::strncmp(frame.source, kEmbeddedPrefix, std::strlen(kEmbeddedPrefix)) == 0;
}

}  // namespace

void push_caller_line(lua_State* L) {
  lua_Debug frame;
  lua_Debug caller;
  int level = 1;
  bool calls_embedded = false;
  for (; get_frame(L, level, frame); ++level) {
    const bool has_left = std::strcmp(frame.what, "tail") == 0;  // in Lua 5.1
    const bool is_c = std::strcmp(frame.what, "C") == 0;
    const bool is_pcall = is_c && get_frame(L, level + 1, caller) && is_embedded(caller);
    if (!is_embedded(frame) && !has_left && !is_pcall && !(is_c && calls_embedded)) break;
    calls_embedded = is_embedded(frame);
  }
  luaL_where(L, level);
}

}  // namespace websockets::lua
