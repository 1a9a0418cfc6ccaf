// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"
#include "lua/lua_websocket.h"

namespace websockets::lua {

// Subscribes a websocket that is open to the topic at 2, by the table of options at 3. False: it is closed by now.
bool subscribe_by_options(lua_State* L, LuaWebsocket& ws);

extern const luaL_Reg kContextClusterMethods[];

}  // namespace websockets::lua
