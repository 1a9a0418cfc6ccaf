// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

// Makes the metatables of requests and of their headers.
void register_request(lua_State* L);

}  // namespace websockets::lua
