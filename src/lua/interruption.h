// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// Ctrl-C: the handler of SIGINT of lua.c and luajit.c raises an error that ends in "interrupted!", by a hook, in
// whatever runs; the next SIGINT is not handled. A coroutine, and whoever has caught it, raise it again without a hook.
// The same text otherwise is an error of the script, which may have it from a client.

// Whether the value at `index` has that text.
bool ends_with_interrupted(lua_State* L, int index);
// Whether it is such an error. To be called where it was raised: in a message handler.
bool is_interruption(lua_State* L, int index);
// Raises the value on top of the stack as it was raised first, by a hook, so that it leaves an outer callback likewise.
[[noreturn]] void raise_by_hook(lua_State* L);

}  // namespace websockets::lua
