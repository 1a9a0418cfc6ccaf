// SPDX-License-Identifier: MIT
#include "lua/lua_request.h"

#include <memory>
#include <utility>

#include "lua/guarded.h"
#include "lua/userdata.h"
#include "server/connection.h"
#include "server/http_exchange.h"
#include "server/subprotocol.h"

namespace websockets::lua {

LuaRequest& check_request(lua_State* L, int index) {
  LuaRequest* const request = check_object<RequestUserdata>(L, index).request;
  luaL_argcheck(L, request != nullptr, index, "a request that was collected");
  return *request;
}

void release_callbacks(lua_State* L, int index) {
  get_user_table(L, index);
  lua_pushnil(L);
  lua_rawseti(L, -2, kCallbacksOfRequest);
  lua_pop(L, 1);
}

void push_blank_request(lua_State* L) {
  push_object<RequestUserdata>(L);
  lua_newtable(L);
  set_user_table(L, -2);
}

void fill_request(lua_State* L, int callbacks, Connection& connection, const HttpExchange& exchange,
                  const std::shared_ptr<PendingUpgrade>* pending) {
  auto* const userdata = find_object<RequestUserdata>(L, -1);
  if (pending != nullptr) {
    get_user_table(L, -1);
    lua_pushvalue(L, callbacks);
    lua_rawseti(L, -2, kCallbacksOfRequest);
    lua_pop(L, 1);
  }
  guarded(L, [&] {
    auto request = std::make_unique<LuaRequest>();
    request->request = exchange.request();
    request->client = connection.peer();
    request->is_secure = exchange.is_secure();
    if (exchange.subprotocol() != nullptr) request->protocol = exchange.subprotocol()->name;
    request->certificate = connection.peer_certificate();
    if (pending != nullptr) request->pending = *pending;
    request->connection = &connection;
    userdata->request = request.release();
  });
}

}  // namespace websockets::lua
