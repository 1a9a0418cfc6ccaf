// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

class LuaContext;

// Fills in the options and the callbacks table (at `callbacks`) from the table at `config`, or raises an error.
void read_context_options(lua_State* L, int config, int callbacks, LuaContext& context);
[[noreturn]] void raise_create_error(lua_State* L, const char* why);

}  // namespace websockets::lua
