// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// context:websockets
extern const luaL_Reg kContextWebsocketsMethods[];

}  // namespace websockets::lua
