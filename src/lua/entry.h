// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"
#include "lua/guarded.h"
#include "lua/lua_calls.h"
#include "lua/lua_context.h"

namespace websockets {
class Loop;
}

namespace websockets::lua {

// A call of the engine from Lua, which may lead to callbacks: while it lives, events reach Lua by this state. Nothing
// may raise a Lua error meanwhile. It is no round of the loop: for who serves the context as a whole.
class EntryWithoutRound {
 public:
  // `callbacks` is the stack index of the callbacks table. Needs room for 8 values on the stack.
  EntryWithoutRound(LuaContext& context, lua_State* L, int callbacks);
  ~EntryWithoutRound();
  EntryWithoutRound(const EntryWithoutRound&) = delete;
  EntryWithoutRound& operator=(const EntryWithoutRound&) = delete;

 private:
  LuaContext& context_;
  LuaCalls::Place outer_;
  LuaContext* running_before_;
};

// The same within a Round of the loop.
class Entry {
 public:
  Entry(LuaContext& context, lua_State* L, int callbacks);
  ~Entry();
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

 private:
  EntryWithoutRound entry_;
  Loop* in_round_;  // of which this is a Round
};

// Runs `body`, which may lead to callbacks, and must not touch Lua itself. `callbacks` is the stack index of the
// callbacks table. Raises a Lua error if memory was short, or a callback was interrupted.
template <typename Body>
void enter(lua_State* L, LuaContext& context, int callbacks, Body body) {
  guarded(L, [&] {
    const Entry entry(context, L, callbacks);
    body();
  });
  context.calls().raise_interruption(L, callbacks);
}

}  // namespace websockets::lua
