// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "lua/compat.h"

namespace websockets::lua {

class LuaContext;

// Whether run() runs its workers, of which this may be one.
bool is_run_by_workers(const LuaContext& context);

// Whether run(), to which options that are at an index were given (or a number, or nothing), has workers serve the
// context: then run_by_workers() does it, which returns as run() does. Else `shutdown_ms` is what the options say.
bool read_run_arguments(lua_State* L, LuaContext& context, int callbacks, int index, std::uint64_t& shutdown_ms);
int run_by_workers(lua_State* L, LuaContext& context, int callbacks);

extern const luaL_Reg kContextWorkerMethods[];

}  // namespace websockets::lua
