// SPDX-License-Identifier: MIT
// How a context's functions get to see requests: on_upgrade, and the protocols' functions.
#include <utility>

#include "lua/guarded.h"
#include "lua/lua_context.h"
#include "lua/lua_request.h"
#include "lua/push.h"
#include "lua/upgrade_answer.h"
#include "lua/wrap_websocket.h"
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

bool LuaContext::on_upgrade(Connection& connection, const HttpExchange& exchange,
                            const std::shared_ptr<PendingUpgrade>& pending) {
  UpgradeAnswer answer;
  bool has_answer = false;
  bool is_decided = false;  // else it was interrupted
  int slot = kNoSlot;
  const bool succeeded = run(nullptr, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, kOnUpgrade);
    push_blank_request(L);
    fill_request(L, kCallbacks, connection, exchange, &pending);
    const int place = lua_gettop(L);
    lua_pushvalue(L, place);
    set_slot(L, kCallbacks, slot);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, place);
    lua_call(L, 1, 3);
    const bool is_answered = pending->has_answer() || pending->status() != PendingUpgrade::Status::kWaiting;
    is_decided = is_answered || check_request(L, place).is_deferred;
    if (!is_answered && is_decided) return;
    let_go_of_callbacks(L, place);
    if (is_answered) return;
    const AnswerPlaces places = check_verdict(L, place + 1);
    if (places.status == 101) {
      push_blank_websocket(L);
      keep_request(L, kCallbacks, connection, place);
    }
    guarded(L, [&] { answer = read_answer(L, places); });
    has_answer = is_decided = true;
  });
  lua_rawgeti(state(), callbacks(), slot);
  // One that was kept by a function that failed must not keep the context.
  if (!is_decided && slot != kNoSlot) let_go_of_callbacks(state(), lua_gettop(state()));
  lua_pop(state(), 1);
  free_slot(state(), callbacks(), slot);
  if (has_answer) pending->answer(std::move(answer));
  return succeeded && is_decided;
}

bool LuaContext::on_open(Connection& connection, const HttpExchange& exchange) {
  const bool has_websocket = run(nullptr, [&](lua_State* L) {
    LuaWebsocket& ws = push_websocket(L, kCallbacks, connection);
    if (std::exchange(ws.has_asked_for_request, keeps_requests)) free_slot(L, kCallbacks, ws.request);  // in on_http
    if (keeps_requests && ws.request == kNoSlot) {
      push_blank_request(L);
      fill_request(L, kCallbacks, connection, exchange, nullptr);
      set_slot(L, kCallbacks, ws.request);
    }
  });
  if (!has_websocket) return false;
  if (!connection.is_open()) return true;  // a finalizer has ended it: there will be no on_closed

  const int slot = kFirstProtocol + static_cast<int>(connection.subprotocol());
  const Opening opening{&connection, &exchange, std::exchange(opening_, &opening)};
  const bool succeeded = run(&connection, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, slot);
    push_websocket(L, kCallbacks, connection);
    lua_call(L, 1, 0);
  });
  opening_ = opening.outer;
  auto* const ws = static_cast<LuaWebsocket*>(connection.user);
  if (ws != nullptr && !ws->has_asked_for_request) free_slot(entry_->L_, entry_->callbacks_, ws->request);
  return succeeded;
}

// What has the request of a connection still; null when nobody has.
const HttpExchange* LuaContext::exchange_of(Connection& connection) const {
  const Opening* opening = opening_;
  while (opening != nullptr && opening->connection != &connection) opening = opening->outer;
  if (opening != nullptr) return opening->exchange;
  const HttpExchange* const exchange = connection.http();
  return exchange != nullptr && exchange->has_request() ? exchange : nullptr;
}

void LuaContext::push_request_of(lua_State* L, int callbacks, LuaWebsocket& ws) {
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
  set_slot(L, callbacks, ws.request);
  ws.has_asked_for_request = true;
}

void LuaContext::keep_request(lua_State* L, int callbacks, Connection& connection, int index) {
  LuaWebsocket& ws = attach_websocket(L, callbacks, connection);
  lua_pushvalue(L, index);
  set_slot(L, callbacks, ws.request);
  ws.has_asked_for_request = false;
  lua_pop(L, 1);
}

}  // namespace websockets::lua
