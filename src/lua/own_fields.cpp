// SPDX-License-Identifier: MIT
#include "lua/own_fields.h"

#include <initializer_list>

#include "lua/lua_websocket.h"

namespace websockets::lua {
namespace {

// A method of that name would be hidden from everybody, the scripts that call it included. The key is at 2.
void check_key(lua_State* L, int methods) {
  lua_pushvalue(L, 2);
  lua_rawget(L, methods);
  if (!lua_isnil(L, -1)) raise(L, "websocket has a method '%s', which no field may hide", lua_tostring(L, 2));
  lua_pop(L, 1);
}

// __newindex of the tables of fields; the methods are its upvalue.
int set_field(lua_State* L) {
  lua_settop(L, 3);
  check_key(L, lua_upvalueindex(1));
  lua_rawset(L, 1);
  return 0;
}

// Pushes a copy of a table.
void push_copy(lua_State* L, int table) {
  lua_createtable(L, 1, 8);
  for (lua_pushnil(L); lua_next(L, table) != 0;) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
}

// __newindex of websockets that have no fields yet. Upvalues: the metatable of all, the metatable of tables of fields,
// the methods.
int set_first_field(lua_State* L) {
  check_websocket(L);
  lua_settop(L, 3);
  check_key(L, lua_upvalueindex(3));
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
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_rawseti(L, -2, kMetatableOfAll);
  for (const char* name : {"__index", "__newindex"}) {
    lua_pushvalue(L, fields);
    lua_setfield(L, -2, name);
  }
  lua_setmetatable(L, 1);
  return 0;
}

}  // namespace

void register_own_fields(lua_State* L) {
  lua_pushvalue(L, -1);
  lua_createtable(L, 0, 2);
  lua_getfield(L, -2, "__index");  // the metatable, the metatable of tables of fields, the methods
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__index");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, set_field, 1);
  lua_setfield(L, -3, "__newindex");
  lua_pushcclosure(L, set_first_field, 3);
  lua_setfield(L, -2, "__newindex");
}

}  // namespace websockets::lua
