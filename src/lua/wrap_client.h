// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// websockets.connect(), and context:connect()
int connect(lua_State* L);
extern const luaL_Reg kContextClientMethods[];
// on_open, on_retry, positions, reopen, response
extern const luaL_Reg kWebsocketClientMethods[];
// Makes the metatables.
void register_client(lua_State* L);

}  // namespace websockets::lua
