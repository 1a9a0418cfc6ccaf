// SPDX-License-Identifier: MIT
// ws:respond(): an answer to a request, of a script's making.
#include "lua/wrap_respond.h"

#include <utility>

#include "http/response.h"
#include "lua/check_bytes.h"
#include "lua/header_lines.h"
#include "lua/wrap_websocket.h"
#include "server/http_exchange.h"

namespace websockets::lua {

int respond(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 4);
  const lua_Integer status = luaL_checkinteger(L, 2);
  luaL_argcheck(L, status >= 200 && status <= 599, 2, "a status from 200 to 599 expected");
  const std::span<const std::uint8_t> body = lua_isnil(L, 4) ? std::span<const std::uint8_t>() : check_bytes(L, 4);
  luaL_argcheck(L, body.empty() || may_have_body(static_cast<int>(status)), 4, "an answer of this status has no body");
  luaL_argcheck(L, lua_type(L, 3) != LUA_TSTRING, 3,
                "the headers come second, the body third: ws:respond(200, nil, 'hello')");
  const HeaderLines headers = push_header_lines(L, 3);
  if (headers.error != nullptr) return luaL_argerror(L, 3, headers.error);

  if (is_closed(ws)) return push_failure(L, "closed");
  HttpExchange* const exchange = http_of(ws);
  if (exchange == nullptr) return luaL_error(L, "websocket respond is for on_http only");
  if (!exchange->awaits_answer()) return push_failure(L, "already answered");
  LuaContext& context = context_of(ws);
  const bool is_pinned = body.size() >= kPinnedBytes;
  const int handle = is_pinned ? context.callback_table().pin_payload(L, push_callbacks(L), 4) : 0;
  with_entry(L, ws, [&] {
    PinnedPayload pinned = is_pinned ? PinnedPayload(context, handle) : PinnedPayload();
    ResponseHead head;
    head.status = static_cast<int>(status);
    head.header_lines = headers.text;
    if (!headers.has_content_type && !body.empty()) head.content_type = "text/plain; charset=utf-8";
    exchange->respond(head, body, std::move(pinned));
  });
  return push_status(L, 0);
}

}  // namespace websockets::lua
