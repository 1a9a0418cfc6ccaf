// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

class LuaContext;

// What makes a process that is about to be forked one that several can go on from: nothing but listeners and options is
// there yet. Raises what is there beside.
void check_worker_conditions(lua_State* L, LuaContext& context);

}  // namespace websockets::lua
