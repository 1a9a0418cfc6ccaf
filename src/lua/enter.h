// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"
#include "lua/guarded.h"
#include "lua/lua_context.h"

namespace websockets::lua {

// Runs `body`, which may lead to callbacks, and must not touch Lua itself. `callbacks` is the stack index of the
// callbacks table. Raises a Lua error if memory was short, or a callback was interrupted.
template <typename Body>
void enter(lua_State* L, LuaContext& context, int callbacks, Body body) {
  guarded(L, [&] {
    const LuaContext::Entry entry(context, L, callbacks);
    body();
  });
  context.raise_interruption(L, callbacks);
}

}  // namespace websockets::lua
