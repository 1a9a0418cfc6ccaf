// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

// What can be read of a request.

namespace websockets::lua {

// The metamethod __index of requests; the methods are its first upvalue, the numbers of the fields the second.
int index_request(lua_State* L);
// Pushes the table of the numbers of the fields.
void push_request_fields(lua_State* L);

}  // namespace websockets::lua
