// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets::lua {

class LuaContext;
class ServedAlong;

// What the contexts of one Lua state have in common. Stays in memory until the state is closed, finalizers included.
struct SharedState {
  LuaContext* running = nullptr;          // whose Entry is the innermost one: its callback is what runs
  LuaContext* default_context = nullptr;  // for what names no context; null: there is none, or it was destroyed
  ServedAlong* served_along = nullptr;    // the innermost one
  const void* receive = nullptr;          // lua_topointer() of the function in which coroutines of waits.lua await
};

// The places of a table of theirs.
enum StateSlot : int {
  kContexts = 1,    // a table: the address of each context -> its userdata, which it does not keep
  kDefaultContext,  // its userdata, which this keeps; or false
  kWaitFunctions,   // a table of the functions of waits.lua that LuaWaits calls
  kEndings,         // a table: a websocket that is closed, which it does not keep -> what else is known of its end
  kThreads,         // a table: a coroutine -> its thread, which is a table: see waits.lua; it keeps neither
  kHost,            // an adapter's function for the default context, which it does not keep: see default_context.h
};

// Makes it, once in each state.
void make_shared_state(lua_State* L);
SharedState& shared_state(lua_State* L);
// Pushes that table. Neither raises nor takes memory.
void push_shared_table(lua_State* L);

}  // namespace websockets::lua
