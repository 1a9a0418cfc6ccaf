// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// ws:respond()
int respond(lua_State* L);

}  // namespace websockets::lua
