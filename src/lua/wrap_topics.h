// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

extern const luaL_Reg kContextTopicMethods[];
extern const luaL_Reg kWebsocketTopicMethods[];

}  // namespace websockets::lua
