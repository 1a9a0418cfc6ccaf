// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

extern const luaL_Reg kContextTimerMethods[];
// Makes the metatable of timers.
void register_timer(lua_State* L);

}  // namespace websockets::lua
