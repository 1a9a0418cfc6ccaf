// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// run, stop, shutdown
extern const luaL_Reg kContextRunMethods[];
// websockets.run()
int run_default_context(lua_State* L);

}  // namespace websockets::lua
