// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

struct LuaWebsocket;

// "http", "open", "closing" or "closed"; of a client "connecting" and "reconnecting", too.
const char* state_name(const LuaWebsocket& ws);

// context, protocol, state
extern const luaL_Reg kWebsocketStateMethods[];

}  // namespace websockets::lua
