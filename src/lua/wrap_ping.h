// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// ping, on_pong
extern const luaL_Reg kWebsocketPingMethods[];

}  // namespace websockets::lua
