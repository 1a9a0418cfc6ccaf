// SPDX-License-Identifier: MIT
// connect(), and the methods that only clients have.
#include "lua/wrap_client.h"

#include <memory>
#include <new>
#include <utility>

#include "lua/client_tables.h"
#include "lua/connect_options.h"
#include "lua/default_context.h"
#include "lua/lua_client.h"
#include "lua/lua_clients.h"
#include "lua/resumption.h"
#include "lua/wrap_context.h"
#include "lua/wrap_websocket.h"

namespace websockets::lua {
namespace {

// --- Connecting ---

// What connect() has made so far, as errors may be raised.
struct Connecting {
  static constexpr char kType[] = "websockets.connecting";

  ConnectOptions* options;
  LuaClient* client;
};

int collect(lua_State* L) {
  auto& connecting = check_object<Connecting>(L, 1);
  delete std::exchange(connecting.options, nullptr);
  delete std::exchange(connecting.client, nullptr);
  return 0;
}

struct Places {
  CallbackTable& table;
  LuaWebsocket& ws;
  LuaClient& client;
};

// Puts the websocket, the functions for the URL and the headers, and the resumption into slots. Arguments: the places,
// the callbacks table, and these.
int fill_slots(lua_State* L) {
  auto& places = *static_cast<Places*>(lua_touserdata(L, 1));
  places.table.set_slot(L, 2, places.client.resumption);
  places.table.set_slot(L, 2, places.client.headers);
  places.table.set_slot(L, 2, places.client.url);
  places.table.set_slot(L, 2, places.ws.self);
  return 0;
}

void free_slots(lua_State* L, int callbacks, const Places& places) {
  for (int* slot : {&places.client.resumption, &places.client.headers, &places.client.url, &places.ws.self}) {
    places.table.free_slot(L, callbacks, *slot);
  }
}

// The context is at 1, URL and options behind it.
int connect_by_context(lua_State* L) {
  constexpr int kUrl = 2;
  constexpr int kOptions = 3;
  lua_settop(L, kOptions);
  int callbacks;
  check_served_here(L, callbacks);
  auto& connecting = push_object<Connecting>(L);
  guarded(L, [&] { connecting.options = new ConnectOptions; });
  read_connect_options(L, kUrl, kOptions, *connecting.options);
  const int resumption = lua_gettop(L);
  const int headers = resumption - 1;
  const int url = headers - 1;
  connecting.options->asks_owner = !lua_isnil(L, url) || !lua_isnil(L, headers);
  if (lua_isfunction(L, resumption)) make_resumption(L, 1);
  push_blank_websocket(L);
  const int websocket = lua_gettop(L);
  LuaContext& context = check_served_here(L, callbacks);  // again: finalizers may have done anything
  guarded(L, [&] { connecting.client = new LuaClient(context); });
  connecting.client->receive_buffer_bytes = connecting.options->receive_buffer_bytes;
  Places places{context.callback_table(), *find_object<LuaWebsocket>(L, websocket), *connecting.client};

  lua_pushcfunction(L, fill_slots);
  lua_pushlightuserdata(L, &places);
  for (const int index : {callbacks, websocket, url, headers, resumption}) lua_pushvalue(L, index);
  bool failed = lua_pcall(L, 6, 0, 0) != 0;
  if (failed) {
    free_slots(L, callbacks, places);
    return lua_error(L);
  }
  try {
    LuaClient& client = *connecting.client;
    client.engine = &context.clients().connect(std::move(*connecting.options), places.ws);
  } catch (const std::bad_alloc&) {
    failed = true;
  }
  if (failed) {
    free_slots(L, callbacks, places);
    return luaL_error(L, "not enough memory");
  }
  delete std::exchange(connecting.options, nullptr);  // now: nothing tells the collector how large they are
  places.ws.client = std::exchange(connecting.client, nullptr);
  places.ws.is_client = true;
  places.ws.resumes = places.ws.client->resumption != kNoSlot;
  lua_pushvalue(L, callbacks);
  set_user_table(L, websocket);
  note_begin(L, context, callbacks);
  lua_settop(L, websocket);
  return 1;
}

// --- Methods ---

// Null: it is closed, so that nothing happens.
LuaClient* check_client(lua_State* L, const char* method) {
  const LuaWebsocket& ws = check_websocket(L);
  if (is_closed(ws)) return nullptr;
  if (!ws.is_client) raise(L, "websocket %s is for clients", method);
  return ws.client;
}

int set_callback(lua_State* L, const char* method, int LuaClient::*slot) {
  check_websocket(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  LuaClient* const client = check_client(L, method);
  if (client == nullptr) return 0;
  const int callbacks = push_callbacks(L);
  lua_pushvalue(L, 2);
  client->context.callback_table().set_slot(L, callbacks, client->*slot);
  return 0;
}

int on_open(lua_State* L) { return set_callback(L, "on_open", &LuaClient::on_open); }

int on_retry(lua_State* L) { return set_callback(L, "on_retry", &LuaClient::on_retry); }

int response(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  if (is_closed(ws) || !ws.is_client) {
    lua_pushnil(L);
  } else {
    push_response(L, *ws.client->engine);
  }
  return 1;
}

int positions(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 1);
  if (ws.resumes) {
    push_resumption(L, ws);
    replace_by_positions(L);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

int reopen(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const CloseArguments arguments = check_close_arguments(L, 2, CloseCode::kNormal);
  LuaClient* const client = check_client(L, "reopen");
  bool will_reopen = false;
  if (client != nullptr) {
    with_entry(L, ws, [&] { will_reopen = client->engine->reopen(arguments.code, arguments.reason); });
  }
  lua_pushboolean(L, will_reopen ? 1 : 0);
  return 1;
}

}  // namespace

int connect(lua_State* L) {
  lua_settop(L, 2);
  push_current_context(L);
  lua_insert(L, 1);
  return connect_by_context(L);
}

const luaL_Reg kContextClientMethods[] = {{"connect", connect_by_context}, {nullptr, nullptr}};

const luaL_Reg kWebsocketClientMethods[] = {{"on_open", on_open}, {"on_retry", on_retry}, {"positions", positions},
                                            {"reopen", reopen},   {"response", response}, {nullptr, nullptr}};

void register_client(lua_State* L) {
  register_failure(L);
  push_metatable(L, Connecting::kType);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

}  // namespace websockets::lua
