// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// Makes a string of the error at `index`: what its __tostring says, or the fields of a table ("table { code = 7 }").
void describe_error(lua_State* L, int index);

}  // namespace websockets::lua
