// SPDX-License-Identifier: MIT
#include "lua/upgrade_events.h"

#include <utility>

#include "lua/guarded.h"
#include "lua/lua_request.h"
#include "lua/lua_websocket.h"
#include "lua/push.h"
#include "lua/upgrade_answer.h"
#include "lua/wrap_websocket.h"
#include "server/connection.h"
#include "server/http_exchange.h"

namespace websockets::lua {
namespace {

// What on_upgrade has returned, from `first` on.
AnswerPlaces check_verdict(lua_State* L, int first) {
  constexpr const char* kWho = "on_upgrade";
  const int type = lua_type(L, first);
  if (type == LUA_TBOOLEAN && lua_toboolean(L, first) != 0) return check_grant(L, kWho, first + 1);
  if (type == LUA_TBOOLEAN || type == LUA_TNUMBER) return check_refusal(L, kWho, first);
  lua_pushvalue(L, first);
  raise(L, "on_upgrade returned %s, not true, false, a status or what request:defer() returns", describe(L));
}

}  // namespace

bool UpgradeEvents::on_upgrade(Connection& connection, const HttpExchange& exchange,
                               const std::shared_ptr<PendingUpgrade>& pending) {
  UpgradeAnswer answer;
  bool has_answer = false;
  bool is_decided = false;  // else it was interrupted
  int slot = kNoSlot;
  const bool succeeded = calls_.run(nullptr, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, kOnUpgrade);
    push_blank_request(L);
    fill_request(L, kCallbacks, connection, exchange, &pending);
    const int place = lua_gettop(L);
    lua_pushvalue(L, place);
    table_.set_slot(L, kCallbacks, slot);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, place);
    lua_call(L, 1, 3);
    const bool is_answered = pending->has_answer() || pending->status() != PendingUpgrade::Status::kWaiting;
    is_decided = is_answered || check_request(L, place).is_deferred;
    if (!is_answered && is_decided) return;
    release_callbacks(L, place);
    if (is_answered) return;
    const AnswerPlaces places = check_verdict(L, place + 1);
    if (places.status == 101) {
      push_blank_websocket(L);
      keep_request(L, kCallbacks, connection, place);
    }
    guarded(L, [&] { answer = read_answer(L, places); });
    has_answer = is_decided = true;
  });
  lua_rawgeti(calls_.state(), calls_.callbacks(), slot);
  // One that was kept by a function that failed must not keep the context.
  if (!is_decided && slot != kNoSlot) release_callbacks(calls_.state(), lua_gettop(calls_.state()));
  lua_pop(calls_.state(), 1);
  table_.free_slot(calls_.state(), calls_.callbacks(), slot);
  if (has_answer) pending->answer(std::move(answer));
  return succeeded && is_decided;
}

bool UpgradeEvents::on_open(Connection& connection, const HttpExchange& exchange) {
  const bool has_websocket = calls_.run(nullptr, [&](lua_State* L) {
    LuaWebsocket& ws = push_websocket(L, table_, kCallbacks, connection);
    // In on_http.
    if (std::exchange(ws.has_asked_for_request, keeps_requests)) table_.free_slot(L, kCallbacks, ws.request);
    if (keeps_requests && ws.request == kNoSlot) {
      push_blank_request(L);
      fill_request(L, kCallbacks, connection, exchange, nullptr);
      table_.set_slot(L, kCallbacks, ws.request);
    }
  });
  if (!has_websocket) return false;
  if (!connection.is_open()) return true;  // a finalizer has ended it: there will be no on_closed

  const int slot = kFirstProtocol + static_cast<int>(connection.subprotocol());
  const Opening opening{&connection, &exchange, std::exchange(opening_, &opening)};
  const bool succeeded = calls_.run(&connection, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, slot);
    push_websocket(L, table_, kCallbacks, connection);
    lua_call(L, 1, 0);
  });
  opening_ = opening.outer;
  auto* const ws = static_cast<LuaWebsocket*>(connection.user);
  if (ws != nullptr && !ws->has_asked_for_request) table_.free_slot(calls_.state(), calls_.callbacks(), ws->request);
  return succeeded;
}

// What has the request of a connection still; null when nobody has.
const HttpExchange* UpgradeEvents::exchange_of(Connection& connection) const {
  const Opening* opening = opening_;
  while (opening != nullptr && opening->connection != &connection) opening = opening->outer;
  if (opening != nullptr) return opening->exchange;
  const HttpExchange* const exchange = connection.http();
  return exchange != nullptr && exchange->has_request() ? exchange : nullptr;
}

void UpgradeEvents::push_request_of(lua_State* L, int callbacks, LuaWebsocket& ws) {
  if (ws.request == kNoSlot) {
    if (exchange_of(*ws.connection) == nullptr) return lua_pushnil(L);
    push_blank_request(L);  // the finalizers may end the connection, or do the same as this
  }
  if (is_closed(ws)) return lua_pushnil(L);
  if (ws.request != kNoSlot) {
    ws.has_asked_for_request = true;
    lua_rawgeti(L, callbacks, ws.request);
    return;
  }
  const HttpExchange* const exchange = exchange_of(*ws.connection);
  if (exchange == nullptr) return lua_pushnil(L);
  fill_request(L, callbacks, *ws.connection, *exchange, nullptr);
  lua_pushvalue(L, -1);
  table_.set_slot(L, callbacks, ws.request);
  ws.has_asked_for_request = true;
}

void UpgradeEvents::keep_request(lua_State* L, int callbacks, Connection& connection, int index) {
  LuaWebsocket& ws = attach_websocket(L, table_, callbacks, connection);
  lua_pushvalue(L, index);
  table_.set_slot(L, callbacks, ws.request);
  ws.has_asked_for_request = false;
  lua_pop(L, 1);
}

}  // namespace websockets::lua
