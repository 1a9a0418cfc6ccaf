// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

// Receiving messages from inboxes: what lua/websockets/waits.lua asks of the binding for it, and for how a websocket
// has ended.

namespace websockets::lua {

struct LuaWebsocket;
struct SharedState;

// What it returns behind its first two results: they are those of receive(); the rest is for waits.lua.
extern const char kIsDone;
extern const char kAgain;
// receive() as long as it is simple. From Lua 5.3 on a coroutine's top function while it awaits a message; before, it
// returns nothing where the coroutine is to be suspended.
int receive_now(lua_State* L);
// The iterator of messages(), likewise.
int next_message(lua_State* L);
// Whether a coroutine is suspended in receive(), or in that iterator.
bool awaits_message(const SharedState& shared, lua_State* coroutine);

// The websocket, which is the first argument, is about to get a function for its messages: those that were not received
// go to the function, before others.
void give_up_inbox(lua_State* L, LuaWebsocket& ws);

// The websocket, which is the first argument, and is closed, has nothing unread any more. Takes what is behind the
// argument.
void drop_unread(lua_State* L, LuaWebsocket& ws);

extern const luaL_Reg kReceiveCore[];

}  // namespace websockets::lua
