// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

extern const luaL_Reg kContextStatsMethods[];

}  // namespace websockets::lua
