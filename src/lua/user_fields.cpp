// SPDX-License-Identifier: MIT
#include "lua/user_fields.h"

#include <initializer_list>

#include "lua/lua_websocket.h"
#include "lua/other_names.h"

namespace websockets::lua {
namespace {

// A function for an event, at 3, that nobody would ever call. The key is at 2.
void check_field(lua_State* L) {
  if (!lua_isfunction(L, 3) || lua_type(L, 2) != LUA_TSTRING) return;
  const char* key = lua_tostring(L, 2);
  const char* ours = find_event(key);
  if (ours == nullptr) return;
  const char* const of_client = find_client_event(key);
  if (of_client != ours) ours = lua_pushfstring(L, "%s; for a client %s", ours, of_client);
  raise(L, "websocket field '%s' would never be called, use %s", key, ours);
}

// __newindex of the tables of fields.
int set_field(lua_State* L) {
  lua_settop(L, 3);
  check_field(L);
  lua_rawset(L, 1);
  return 0;
}

// Pushes a copy of a table.
void push_copy(lua_State* L, int table) {
  lua_createtable(L, 0, 8);
  for (lua_pushnil(L); lua_next(L, table) != 0;) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
}

// __newindex of websockets that have no fields yet. Upvalues: the metatable of all, the metatable of tables of fields.
int set_first_field(lua_State* L) {
  check_websocket(L);
  lua_settop(L, 3);
  check_field(L);
  if (lua_isnil(L, 3)) return 0;
  lua_newtable(L);
  const int fields = lua_gettop(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, fields);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, fields);

  lua_pushvalue(L, lua_upvalueindex(1));
  push_copy(L, lua_gettop(L));
  for (const char* name : {"__index", "__newindex"}) {
    lua_pushvalue(L, fields);
    lua_setfield(L, -2, name);
  }
  lua_setmetatable(L, 1);
  return 0;
}

}  // namespace

void register_user_fields(lua_State* L) {
  lua_pushvalue(L, -1);
  lua_createtable(L, 0, 2);
  lua_getfield(L, -2, "__index");
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, set_field);
  lua_setfield(L, -2, "__newindex");
  lua_pushcclosure(L, set_first_field, 2);
  lua_setfield(L, -2, "__newindex");
}

}  // namespace websockets::lua
