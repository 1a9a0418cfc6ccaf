// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// ws.anything = value. A websocket has the metatable of all, whose __index is the table of the methods, until its first
// own field is set: then it gets one of its own, whose __index and __newindex are the table of its fields, which finds
// the methods by its own metatable.

// Sets __newindex in the metatable on top of the stack, whose __index is set.
void register_user_fields(lua_State* L);

}  // namespace websockets::lua
