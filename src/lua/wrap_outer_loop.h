// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

class LuaContext;

// The revents of service_fd, from the argument `first` on; raises when there is none, or a strange one.
void check_revents(lua_State* L, int first);
// service_fd: serves `fd` and pushes the result.
int serve_descriptor(lua_State* L, LuaContext& context, int callbacks, int fd);
extern const luaL_Reg kOuterLoopMethods[];

}  // namespace websockets::lua
