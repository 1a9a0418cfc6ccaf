// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

// The context that stands for all that names none: one per Lua state, made on first use. The registry keeps it, until
// it is destroyed or the state is closed. Whatever serves another context serves it along: see ServedAlong.

namespace websockets::lua {

class LuaContext;
struct SharedState;

// Null: there is none, or it is being destroyed.
LuaContext* find_default_context(const SharedState& shared);
// Pushes its userdata, and makes it if there is none.
LuaContext& push_default_context(lua_State* L);
// Pushes the context whose callback or thread is running, else the default one, which is made if there is none. Raises
// in a thread whose context was destroyed.
LuaContext& push_current_context(lua_State* L);
// The context ends, which may be the default one. Within an Entry.
void forget_default_context(LuaContext& context);

// An adapter's: takes a function that is given a context, and returns two, as on_add_fd and on_del_fd of one with
// one_fd, which are called as LuaContext::announce_while_busy() says. The context is the second argument; or else the
// default one, now or once there is one, unless another function has been given it. The function is not kept.
int host_context(lua_State* L);

}  // namespace websockets::lua
