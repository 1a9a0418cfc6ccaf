// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "http/request.h"
#include "lua/compat.h"
#include "net/certificate.h"
#include "net/socket_address.h"
#include "server/pending_upgrade.h"

namespace websockets {
class Connection;
class HttpExchange;
}  // namespace websockets

namespace websockets::lua {

// What lies behind a request's userdata. It owns everything, so that it stays readable for ever; the tables are made
// when they are asked for, and kept in the userdata's own table, by the names of their fields.
struct LuaRequest {
  Request request;
  PeerAddress client;
  bool is_secure = false;
  bool is_deferred = false;
  std::string protocol;  // "": none was chosen
  Certificate certificate;
  std::shared_ptr<PendingUpgrade> pending;  // null: there is nothing to decide
  Connection* connection = nullptr;         // while that waits

  // For values on their way to Lua, as no local object with a destructor may be alive when an error is raised.
  std::string name;
  std::string value;
  std::unique_ptr<Certificate::Description> description;
};

struct RequestUserdata {
  static constexpr char kType[] = "websockets.request";

  LuaRequest* request;  // null once collected
};

// The place of the callbacks table in the userdata's own table, while there is something to decide.
constexpr int kCallbacksOfRequest = 1;

// Pushes a new userdata of no request yet. May run finalizers, which may do anything.
void push_blank_request(lua_State* L);
// Makes the one on top of the stack that of the request that `exchange` has; `pending` may be null. Runs no finalizers.
void fill_request(lua_State* L, int callbacks, Connection& connection, const HttpExchange& exchange,
                  const std::shared_ptr<PendingUpgrade>* pending);

// There is nothing to decide any more: the request at `index` does not keep its context.
void release_callbacks(lua_State* L, int index);

// The request at `index`, or an argument error.
LuaRequest& check_request(lua_State* L, int index);

}  // namespace websockets::lua
