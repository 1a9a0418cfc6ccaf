// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// Seeds math.random anew: in a process that was forked it would give what it gives in the others. May raise.
void seed_random(lua_State* L);

}  // namespace websockets::lua
