// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "lua/compat.h"
#include "lua/own_fields.h"

namespace websockets {
class Connection;
}

namespace websockets::lua {

constexpr const char* kWebsocketType = "websockets.websocket";

// What lies behind a websocket's userdata. The callbacks table keeps it while the connection is open, or answers
// requests.
struct LuaWebsocket {
  Connection* connection;  // null: closed
  int self;                // slots, or kNoSlot
  int on_receive;
  int on_receive_chunk;
  int on_closed;
  int on_broadcast;
  union {
    int on_server_writeable;
    int closed_fd;  // when it is closed: of the connection, which may be sending still
  };
  union {
    int request;
    std::uint32_t closed_serial;
  };
  bool has_asked_for_request;  // so it is kept
};
static_assert(sizeof(LuaWebsocket) <= 40, "each open websocket has one: see LuaPings for what few need");

// The websocket that is the first argument.
inline LuaWebsocket& check_websocket(lua_State* L) {
  // As luaL_checkudata does it, but without a look into the registry.
  void* userdata = lua_touserdata(L, 1);
  if (userdata == nullptr || lua_getmetatable(L, 1) == 0) {
    userdata = luaL_checkudata(L, 1, kWebsocketType);
  } else if (lua_rawequal(L, -1, lua_upvalueindex(1)) != 0) {
    lua_pop(L, 1);
  } else {
    lua_rawgeti(L, -1, kMetatableOfAll);  // of one that has fields of its own
    if (lua_rawequal(L, -1, lua_upvalueindex(1)) == 0) userdata = luaL_checkudata(L, 1, kWebsocketType);
    lua_pop(L, 2);
  }
  return *static_cast<LuaWebsocket*>(userdata);
}

// wrap_websocket.cpp: makes the metatable.
void register_websocket(lua_State* L);

}  // namespace websockets::lua
