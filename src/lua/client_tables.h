// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets {
struct ClientFailure;
class Client;
}  // namespace websockets

// What a client tells a script: tables.

namespace websockets::lua {

// Pushes the answer that has opened it; nil: there was none.
void push_response(lua_State* L, const Client& client);
// Pushes why it is not open; nil: for no reason. tostring() of it is the message. It has to stay in memory.
void push_failure(lua_State* L, const ClientFailure& failure);
// Makes the metatable of failures.
void register_failure(lua_State* L);

}  // namespace websockets::lua
