// SPDX-License-Identifier: MIT
// The methods of a websocket that tell what it is.
#include "lua/wrap_websocket_state.h"

#include <string>

#include "client/client_response.h"
#include "lua/push.h"
#include "lua/wrap_websocket.h"
#include "server/hub.h"

namespace websockets::lua {
namespace {

// Of one that is closed, too, if its context is not collected.
int context(lua_State* L) {
  check_websocket(L);
  get_user_table(L, 1);
  if (!lua_istable(L, -1)) return 0;
  // The callbacks table of a context, and the table of kWeakContext, both have it there.
  lua_rawgeti(L, -1, kContext);
  return 1;
}

int push_string(lua_State* L) {
  push_text(L, *static_cast<const std::string*>(lua_touserdata(L, 1)));
  return 1;
}

const char* name_of(Client::State state) {
  switch (state) {
    case Client::State::kConnecting:
      return "connecting";
    case Client::State::kOpen:
      return "open";
    case Client::State::kReconnecting:
      return "reconnecting";
    case Client::State::kClosing:
      return "closing";
    default:
      return "closed";
  }
}

int protocol(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 1);
  lua_pushnil(L);
  if (is_closed(ws) || http_of(ws) != nullptr) return 1;
  if (ws.is_client) {
    const ClientResponse* const response = ws.client->engine->response();
    if (response == nullptr || response->protocol().empty()) return 1;
    // Finalizers may run, and end what has the text.
    return push_copy(L, push_string, [&] { return std::string(response->protocol()); });
  }
  const std::string& name = context_of(ws).hub().subprotocol_of(*ws.connection).name;
  push_text(L, name);
  return 1;
}

int state(lua_State* L) {
  lua_pushstring(L, state_name(check_websocket(L)));
  return 1;
}

}  // namespace

const char* state_name(const LuaWebsocket& ws) {
  if (is_closed(ws)) return "closed";
  if (ws.is_client) return name_of(ws.client->engine->state());
  if (ws.connection->http() != nullptr) return "http";
  return ws.connection->is_open() ? "open" : "closing";
}

const luaL_Reg kWebsocketStateMethods[] = {
    {"context", context}, {"protocol", protocol}, {"state", state}, {nullptr, nullptr}};

}  // namespace websockets::lua
