// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets {
struct Subprotocol;
}

namespace websockets::lua {

class LuaContext;

// Pushes the callbacks table behind the arguments, and makes room on the stack for an Entry. Raises when the context
// was destroyed.
LuaContext& check_context(lua_State* L, int& callbacks);
// The same for what makes no sense where a forked process serves: raises there.
LuaContext& check_served_here(lua_State* L, int& callbacks);
// The same by the table of kWeakContext on top of the stack. Null: the context was destroyed, or collected.
LuaContext* find_context(lua_State* L, int& callbacks);
// Null: the value at `index` is no context, or one that was collected.
LuaContext* context_at(lua_State* L, int index);
// Pushes the userdata of a context that was not collected. Takes no memory.
void push_context(lua_State* L, LuaContext& context);

// The context has something to wait for now.
void note_begin(lua_State* L, LuaContext& context, int callbacks);

// The protocol whose name is at `index`.
const Subprotocol& check_protocol(lua_State* L, LuaContext& context, int index);

// websockets.context()
int create_context(lua_State* L);
void register_context(lua_State* L);

}  // namespace websockets::lua
