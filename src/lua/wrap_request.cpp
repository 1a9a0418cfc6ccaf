// SPDX-License-Identifier: MIT
// The userdata of a request: its life, and the answers to one for a websocket.
#include "lua/wrap_request.h"

#include <string_view>
#include <utility>

#include "base/http_text.h"
#include "lua/entry.h"
#include "lua/guarded.h"
#include "lua/lua_context.h"
#include "lua/lua_request.h"
#include "lua/lua_websocket.h"
#include "lua/push_headers.h"
#include "lua/request_fields.h"
#include "lua/upgrade_answer.h"
#include "lua/userdata.h"
#include "server/connection.h"

namespace websockets::lua {
namespace {

const char* why_not(PendingUpgrade::Status status) {
  return status == PendingUpgrade::Status::kClosed ? "closed" : "already answered";
}

int push_answer_status(lua_State* L, PendingUpgrade::Status status) {
  if (status == PendingUpgrade::Status::kWaiting) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, why_not(status));
  return 2;
}

// The request is at 1, what `places` names behind it.
int answer(lua_State* L, const AnswerPlaces& places) {
  luaL_checkstack(L, 16, "request");
  push_blank_websocket(L);  // now: the finalizers may end the connection
  const int blank = lua_gettop(L);
  LuaRequest& request = check_request(L, 1);
  if (request.pending == nullptr) return push_answer_status(L, PendingUpgrade::Status::kAnswered);
  PendingUpgrade::Status status = request.pending->status();
  if (status != PendingUpgrade::Status::kWaiting || request.pending->has_answer()) {
    if (status == PendingUpgrade::Status::kWaiting) status = PendingUpgrade::Status::kAnswered;
    return push_answer_status(L, status);
  }
  get_user_table(L, 1);
  lua_rawgeti(L, -1, kCallbacksOfRequest);
  const int callbacks = lua_gettop(L);
  // A finalizer asks, while what on_upgrade has returned is read.
  if (lua_isnil(L, callbacks)) return push_answer_status(L, PendingUpgrade::Status::kAnswered);
  auto& context = static_cast<LuaContext&>(request.connection->handler());
  if (places.status == 101) {
    lua_pushvalue(L, blank);
    context.upgrades().keep_request(L, callbacks, *request.connection, 1);
  }
  guarded(L, [&] {
    UpgradeAnswer given = read_answer(L, places);
    const std::shared_ptr<PendingUpgrade> pending = request.pending;  // the callbacks may finalize the request
    const Entry entry(context, L, callbacks);
    status = pending->answer(std::move(given));
  });
  release_callbacks(L, 1);
  context.calls().raise_interruption(L, callbacks);
  return push_answer_status(L, status);
}

int accept(lua_State* L) {
  check_request(L, 1);
  lua_settop(L, 2);
  return answer(L, check_grant(L, "request:accept", 2));
}

int reject(lua_State* L) {
  check_request(L, 1);
  lua_settop(L, 4);
  return answer(L, check_refusal(L, "request:reject", 2));
}

// Returns the request, for on_upgrade to return it.
int defer(lua_State* L) {
  check_request(L, 1).is_deferred = true;
  lua_settop(L, 1);
  return 1;
}

int collect(lua_State* L) {
  auto& userdata = check_object<RequestUserdata>(L, 1);
  LuaRequest* const request = std::exchange(userdata.request, nullptr);
  if (request != nullptr && request->pending != nullptr) request->pending->abandon();
  delete request;
  return 0;
}

int to_string(lua_State* L) {
  const LuaRequest& request = check_request(L, 1);
  const bool is_waiting = request.pending != nullptr && request.pending->status() == PendingUpgrade::Status::kWaiting;
  lua_pushfstring(L, "request: %p (%s)", lua_topointer(L, 1), is_waiting ? "waiting" : "answered");
  return 1;
}

constexpr luaL_Reg kMethods[] = {
    {"defer", defer},
    {"accept", accept},
    {"reject", reject},
    {nullptr, nullptr},
};

constexpr luaL_Reg kMetamethods[] = {
    {"__gc", collect},
    {"__tostring", to_string},
    {nullptr, nullptr},
};

}  // namespace

void register_request(lua_State* L) {
  register_headers(L);
  push_metatable(L, RequestUserdata::kType);
  set_functions(L, kMetamethods);
  lua_newtable(L);
  set_functions(L, kMethods);
  push_request_fields(L);
  lua_pushcclosure(L, index_request, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

}  // namespace websockets::lua
