// SPDX-License-Identifier: MIT
#pragma once

#include <new>

#include "lua/compat.h"

namespace websockets::lua {

// Runs `body`, which must not touch Lua, and raises a Lua error if memory was short.
template <typename Body>
void guarded(lua_State* L, Body body) {
  bool is_short = false;
  try {
    body();
  } catch (const std::bad_alloc&) {
    is_short = true;
  }
  if (is_short) raise(L, "not enough memory");
}

}  // namespace websockets::lua
