// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

// The option `resume` of connect(): what a client has got of each topic, so that it can say at its next opening from
// where to go on. It is kept in one table, the resumption: in a slot of LuaClient, and once the client is closed in the
// place of the table of kWeakContext, to which it is equal otherwise.

namespace websockets::lua {

struct LuaWebsocket;

// Makes it of the function on top of the stack, which is taken, for the context at an index.
void make_resumption(lua_State* L, int context);
// Pushes that of the websocket, which is the first argument, and resumes.
void push_resumption(lua_State* L, const LuaWebsocket& ws);
// Puts a new table in the place of the resumption on top of the stack: topic -> position.
void replace_by_positions(lua_State* L);

// The websocket, which is the first argument, is about to get the function at 2 for its messages: puts another one in
// its place, which notes their positions before. It has a fourth argument: `was_waiting` of accept_message().
void make_noting_receiver(lua_State* L);

// The websocket, which is the first argument, and resumes, is about to be given the message whose data and type are on
// top of the stack: its position is kept. But not if it `was_waiting` at an opening: the peer, who was not told of it
// then, sends it again. False: so it is not given.
bool accept_message(lua_State* L, bool was_waiting);

}  // namespace websockets::lua
