// SPDX-License-Identifier: MIT
#include "lua/lua_websocket.h"

#include "lua/callback_table.h"
#include "server/connection.h"

namespace websockets::lua {

LuaWebsocket* websocket_of(const Carrier& carrier) { return static_cast<LuaWebsocket*>(carrier.user); }

void push_blank_websocket(lua_State* L) { push_object<LuaWebsocket>(L); }

LuaWebsocket& push_websocket(lua_State* L, CallbackTable& table, int callbacks, Connection& connection) {
  if (LuaWebsocket* const ws = websocket_of(connection)) {
    lua_rawgeti(L, callbacks, ws->self);
    return *ws;
  }
  push_blank_websocket(L);
  return attach_websocket(L, table, callbacks, connection);
}

LuaWebsocket& attach_websocket(lua_State* L, CallbackTable& table, int callbacks, Connection& connection) {
  if (LuaWebsocket* const ws = websocket_of(connection)) {
    lua_pop(L, 1);
    lua_rawgeti(L, callbacks, ws->self);
    return *ws;
  }
  auto* const ws = find_object<LuaWebsocket>(L, -1);
  lua_pushvalue(L, callbacks);
  set_user_table(L, -2);
  lua_pushvalue(L, -1);
  table.set_slot(L, callbacks, ws->self);
  ws->connection = &connection;
  connection.user = ws;
  return *ws;
}

}  // namespace websockets::lua
