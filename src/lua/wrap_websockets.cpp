// SPDX-License-Identifier: MIT
// context:websockets: those that are open.
#include "lua/wrap_websockets.h"

#include <cstddef>

#include "lua/lua_client.h"
#include "lua/lua_clients.h"
#include "lua/lua_context.h"
#include "lua/lua_websocket.h"
#include "lua/option_reader.h"
#include "lua/wrap_context.h"
#include "server/connection.h"
#include "server/hub.h"
#include "server/subprotocol.h"

namespace websockets::lua {
namespace {

// Appends the open websockets of a protocol to the list on top of the stack, as far as there is room for them. Takes no
// memory, so that no finalizer changes what it goes through.
void append_websockets(lua_State* L, int callbacks, const Subprotocol& protocol, int room, int& count) {
  for (Receiver* receiver = protocol.receivers.first(); receiver != nullptr; receiver = ReceiverList::next(*receiver)) {
    const auto& connection = static_cast<const Connection&>(*receiver);
    const auto* const ws = static_cast<const LuaWebsocket*>(connection.user);
    if (ws == nullptr || !connection.is_open() || ++count > room) continue;
    lua_rawgeti(L, callbacks, ws->self);
    lua_rawseti(L, -2, count);
  }
}

// `only`: null for all protocols.
void push_websockets(lua_State* L, int callbacks, const Hub& hub, const Subprotocol* only) {
  int room = 0;
  for (;;) {
    lua_createtable(L, room, 0);  // its finalizers may open and close some
    int count = 0;
    for (const Subprotocol& protocol : hub.subprotocols()) {
      if (only == nullptr || only == &protocol) append_websockets(L, callbacks, protocol, room, count);
    }
    if (count <= room) return;
    lua_pop(L, 1);
    room = count;
  }
}

// Likewise of the clients that are not closed.
void push_clients(lua_State* L, int callbacks, LuaContext& context) {
  std::size_t room = 0;
  for (;;) {
    lua_createtable(L, static_cast<int>(room), 0);
    std::size_t count = context.has_clients() ? context.clients().count() : 0;
    if (count > room) {
      lua_pop(L, 1);
      room = count;
      continue;
    }
    if (count == 0) return;
    int place = 0;
    for (const Client* client = context.clients().first(); client != nullptr; client = Clients::next(*client)) {
      lua_rawgeti(L, callbacks, static_cast<const LuaWebsocket*>(client->user())->self);
      lua_rawseti(L, -2, ++place);
    }
    return;
  }
}

void raise_list_error(lua_State* L, const char* why) { raise(L, "websocket could not list websockets: %s", why); }

// Whether a table asks for clients.
bool check_clients(lua_State* L, int table) {
  bool clients = false;
  OptionReader reader(L, table, raise_list_error);
  reader.read_boolean("clients", clients);
  reader.refuse_unknown();
  return clients;
}

// The iterator. Its upvalues: the list, and the place of the last one.
int next_websocket(lua_State* L) {
  for (int place = static_cast<int>(lua_tointeger(L, lua_upvalueindex(2))) + 1;; ++place) {
    lua_rawgeti(L, lua_upvalueindex(1), place);
    if (lua_isnil(L, -1)) return 1;
    const auto* const ws = find_object<LuaWebsocket>(L, -1);
    if (ws->connection != nullptr && (ws->is_client || ws->connection->is_open())) {
      lua_pushinteger(L, place);
      lua_replace(L, lua_upvalueindex(2));
      return 1;
    }
    lua_pop(L, 1);
  }
}

int websockets(lua_State* L) {
  lua_settop(L, 2);
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  if (lua_istable(L, 2) && check_clients(L, 2)) {
    push_clients(L, callbacks, context);
  } else {
    const bool is_all = lua_isnil(L, 2) || lua_istable(L, 2);
    const Subprotocol* const only = is_all ? nullptr : &check_protocol(L, context, 2);
    push_websockets(L, callbacks, context.hub(), only);
  }
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_websocket, 2);
  return 1;
}

}  // namespace

const luaL_Reg kContextWebsocketsMethods[] = {{"websockets", websockets}, {nullptr, nullptr}};

}  // namespace websockets::lua
