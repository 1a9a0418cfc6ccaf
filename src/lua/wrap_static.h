// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// websockets.static()
int create_static(lua_State* L);
void register_static(lua_State* L);

}  // namespace websockets::lua
