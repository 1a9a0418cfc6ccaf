// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "lua/callback_table.h"
#include "lua/compat.h"
#include "lua/lua_calls.h"

namespace websockets {
class Connection;
class HttpExchange;
class PendingUpgrade;
}  // namespace websockets

namespace websockets::lua {

struct LuaWebsocket;

// on_upgrade and the protocols' functions, and the requests that these get to see.
class UpgradeEvents {
 public:
  UpgradeEvents(LuaCalls& calls, CallbackTable& table) : calls_(calls), table_(table) {}
  UpgradeEvents(const UpgradeEvents&) = delete;
  UpgradeEvents& operator=(const UpgradeEvents&) = delete;

  bool keeps_requests = false;  // whether or not somebody asks for them

  // As in Handler.
  bool on_upgrade(Connection& connection, const HttpExchange& exchange, const std::shared_ptr<PendingUpgrade>& pending);
  bool on_open(Connection& connection, const HttpExchange& exchange);

  // Pushes the request of a websocket that is not closed, nil when there is none any more.
  void push_request_of(lua_State* L, int callbacks, LuaWebsocket& ws);
  // The request at `index` is that of the websocket which the connection is about to become. Takes a blank websocket
  // from the top of the stack, to be used when the connection has none. Runs no finalizers.
  void keep_request(lua_State* L, int callbacks, Connection& connection, int index);

 private:
  static constexpr int kCallbacks = LuaCalls::kCallbacks;

  // A connection whose protocol's function is being called.
  struct Opening {
    const Connection* connection;
    const HttpExchange* exchange;
    const Opening* outer;
  };
  const HttpExchange* exchange_of(Connection& connection) const;

  LuaCalls& calls_;
  CallbackTable& table_;
  const Opening* opening_ = nullptr;
};

}  // namespace websockets::lua
