// SPDX-License-Identifier: MIT
#include "lua/shared_state.h"

#include <new>

namespace websockets::lua {
namespace {

// Of the registry: a userdata with a SharedState, whose user table is the table of the state's.
constexpr char kStateKey = 0;

void push_state(lua_State* L) {
  lua_pushlightuserdata(L, const_cast<char*>(&kStateKey));
  lua_rawget(L, LUA_REGISTRYINDEX);
}

// Pushes a table that does not keep its keys ("k"), its values ("v"), or either ("kv").
void push_weak_table(lua_State* L, const char* mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

}  // namespace

void make_shared_state(lua_State* L) {
  push_state(L);
  const bool is_there = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (is_there) return;
  lua_pushlightuserdata(L, const_cast<char*>(&kStateKey));
  new (new_userdata(L, sizeof(SharedState))) SharedState;
  lua_createtable(L, 6, 0);
  push_weak_table(L, "v");
  lua_rawseti(L, -2, kContexts);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, kDefaultContext);
  push_weak_table(L, "k");
  lua_rawseti(L, -2, kEndings);
  push_weak_table(L, "v");
  lua_rawseti(L, -2, kHost);
  push_weak_table(L, "kv");
  lua_rawseti(L, -2, kThreads);
  set_user_table(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

SharedState& shared_state(lua_State* L) {
  push_state(L);
  auto* const state = static_cast<SharedState*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return *state;
}

void push_shared_table(lua_State* L) {
  push_state(L);
  get_user_table(L, -1);
  lua_remove(L, -2);
}

}  // namespace websockets::lua
