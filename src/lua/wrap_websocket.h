// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

#include "lua/compat.h"
#include "lua/entry.h"
#include "lua/guarded.h"
#include "lua/lua_client.h"
#include "lua/lua_context.h"
#include "lua/lua_websocket.h"
#include "server/connection.h"
#include "websocket/close_code.h"

// What the methods of a websocket have in common.

namespace websockets::lua {

// A string of this size is not copied, but sent from where it is.
constexpr std::size_t kPinnedBytes = 4096;

inline LuaContext& context_of(const Connection& connection) { return static_cast<LuaContext&>(connection.handler()); }

inline bool is_closed(const LuaWebsocket& ws) {
  return ws.connection == nullptr || (!ws.is_client && ws.connection->has_ended_in_http());
}

// Whether it may have subscriptions. A client stays subscribed while it is not connected.
inline bool is_subscribable(const LuaWebsocket& ws) {
  return ws.connection != nullptr && (ws.is_client || ws.connection->is_open());
}

// Of a websocket that is not closed.
inline LuaContext& context_of(const LuaWebsocket& ws) {
  return ws.is_client ? ws.client->context : context_of(*ws.connection);
}
// Null: it is in HTTP; or a client that has no connection now.
inline Session* session_of(const LuaWebsocket& ws) {
  return ws.is_client ? ws.client->engine->session() : ws.connection->session();
}
// Null: it is a websocket.
inline HttpExchange* http_of(const LuaWebsocket& ws) { return ws.is_client ? nullptr : ws.connection->http(); }
inline Receiver& receiver_of(const LuaWebsocket& ws) {
  return ws.is_client ? static_cast<Receiver&>(*ws.client) : *ws.connection;
}
inline int descriptor_of(const LuaWebsocket& ws) {
  return ws.is_client ? ws.client->engine->descriptor() : ws.connection->descriptor();
}

inline int push_status(lua_State* L, int status) {
  lua_pushinteger(L, status);
  return 1;
}

inline int push_failure(lua_State* L, const char* why) {
  lua_pushinteger(L, -1);
  lua_pushstring(L, why);
  return 2;
}

inline int push_write_status(lua_State* L, WriteStatus status) {
  if (status == WriteStatus::kAccepted) return push_status(L, 0);
  return push_failure(L, status == WriteStatus::kClosed ? "closed" : "queue full");
}

// Of a client's write.
inline int push_write_status(lua_State* L, const LuaWebsocket& ws, WriteStatus status) {
  const bool is_reconnecting =
      status == WriteStatus::kClosed && ws.client->engine->state() == Client::State::kReconnecting;
  return is_reconnecting ? push_failure(L, "reconnecting") : push_write_status(L, status);
}

// Pushes the callbacks table behind the arguments, and makes room on the stack for an Entry.
inline int push_callbacks(lua_State* L) {
  luaL_checkstack(L, 12, "websocket");
  get_user_table(L, 1);
  return lua_gettop(L);
}

// Runs `body`, which may lead to callbacks, and must not touch Lua itself.
template <typename Body>
void with_entry(lua_State* L, const LuaWebsocket& ws, Body body) {
  LuaContext& context = context_of(ws);
  const int callbacks = push_callbacks(L);
  enter(L, context, callbacks, body);
}

// A close code and a reason, from the argument `index` on; both may be left out. `otherwise`: without a code.
struct CloseArguments {
  CloseCode code;
  std::string_view reason;
};
CloseArguments check_close_arguments(lua_State* L, int index, CloseCode otherwise);

// Makes the metatable.
void register_websocket(lua_State* L);

}  // namespace websockets::lua
