// SPDX-License-Identifier: MIT
// ws:ping and ws:on_pong.
#include "lua/wrap_ping.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "lua/wrap_websocket.h"
#include "websocket/frame.h"

namespace websockets::lua {
namespace {

void set_notifies_pongs(const LuaWebsocket& ws) {
  if (ws.is_client) return ws.client->engine->set_notifies_pongs(true);
  if (Session* const session = ws.connection->session()) session->set_notifies_pongs(true);
}

int ping(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  std::size_t size;
  const char* text = luaL_optlstring(L, 2, "", &size);
  const std::string_view data(text, size);
  luaL_argcheck(L, size <= kMaxControlPayloadBytes, 2, "a ping or pong has at most 125 bytes");
  if (is_closed(ws)) return push_failure(L, "closed");
  if (http_of(ws) != nullptr) return luaL_error(L, "websocket ping is not for on_http");
  WriteStatus status{};
  guarded(L, [&] {
    LuaPings::Pings& pings = context_of(ws).pings().of(ws);
    set_notifies_pongs(ws);
    status = ws.is_client ? ws.client->engine->send(Opcode::kPing, true, as_bytes(data))
                          : ws.connection->session()->send(Opcode::kPing, true, as_bytes(data));
    if (status == WriteStatus::kAccepted) pings.log.add(data, monotonic_us());
  });
  return ws.is_client ? push_write_status(L, ws, status) : push_write_status(L, status);
}

int on_pong(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (is_closed(ws)) return 0;
  LuaContext& context = context_of(ws);
  LuaPings::Pings* pings = nullptr;
  guarded(L, [&] { pings = &context.pings().of(ws); });
  set_notifies_pongs(ws);
  const int callbacks = push_callbacks(L);
  lua_pushvalue(L, 2);
  context.callback_table().set_slot(L, callbacks, pings->on_pong);
  return 0;
}

}  // namespace

const luaL_Reg kWebsocketPingMethods[] = {{"ping", ping}, {"on_pong", on_pong}, {nullptr, nullptr}};

}  // namespace websockets::lua
