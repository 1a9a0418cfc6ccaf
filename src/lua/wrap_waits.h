// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

// Waiting in place of callbacks: what lua/websockets/waits.lua, which is the rest of it, asks of the binding.

namespace websockets::lua {

// Adds the methods of waits.lua to those of contexts and websockets, and its functions to the module, which is on top
// of the stack.
void register_waits(lua_State* L);

}  // namespace websockets::lua
