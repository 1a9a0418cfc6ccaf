// SPDX-License-Identifier: MIT
#include "lua/request_fields.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/http_text.h"
#include "http/cookies.h"
#include "http/url.h"
#include "lua/guarded.h"
#include "lua/lua_request.h"
#include "lua/push.h"
#include "lua/push_headers.h"
#include "websocket/handshake.h"

namespace websockets::lua {
namespace {

void push_method(lua_State* L, LuaRequest& request) { push_text(L, request.request.method()); }
void push_uri(lua_State* L, LuaRequest& request) { push_text(L, request.request.target()); }
void push_body(lua_State* L, LuaRequest& request) { push_text(L, request.request.body()); }
void push_is_secure(lua_State* L, LuaRequest& request) { lua_pushboolean(L, request.is_secure ? 1 : 0); }

void push_http_version(lua_State* L, LuaRequest& request) {
  push_text(L, request.request.minor_version() == 0 ? "1.0" : "1.1");
}

void push_path(lua_State* L, LuaRequest& request) {
  const TargetParts parts = split_target(request.request.target());
  guarded(L, [&] { request.value = percent_decode(parts.path, false); });
  push_text(L, request.value);
}

void push_query_string(lua_State* L, LuaRequest& request) {
  push_text(L, split_target(request.request.target()).query);
}

// Of a name that comes several times the last one counts.
void push_query(lua_State* L, LuaRequest& request) {
  lua_newtable(L);
  QueryFields fields(split_target(request.request.target()).query);
  for (;;) {
    bool has_more = false;
    guarded(L, [&] { has_more = fields.next(request.name, request.value); });
    if (!has_more) return;
    push_text(L, request.name);
    push_text(L, request.value);
    lua_rawset(L, -3);
  }
}

void push_headers(lua_State* L, LuaRequest& request) {
  push_empty_headers(L);
  for (const Request::Header& header : request.request.headers()) add_header(L, header.name, header.value);
}

// Of a name that comes several times the first one counts: the one with the longest path (RFC 6265 5.4).
void push_cookies(lua_State* L, LuaRequest& request) {
  lua_newtable(L);
  for (const Request::Header& header : request.request.headers()) {
    if (!http_text::equals_ignoring_case(header.name, "Cookie")) continue;
    Cookies cookies(header.value);
    std::string_view name;
    std::string_view value;
    while (cookies.next(name, value)) {
      push_text(L, name);
      lua_pushvalue(L, -1);
      lua_rawget(L, -3);
      const bool is_new = lua_isnil(L, -1);
      lua_pop(L, 1);
      push_text(L, value);
      if (is_new) {
        lua_rawset(L, -3);
      } else {
        lua_pop(L, 2);
      }
    }
  }
}

void push_protocols(lua_State* L, LuaRequest& request) {
  lua_newtable(L);
  guarded(L, [&] { request.value = request.request.joined("Sec-WebSocket-Protocol"); });
  SubprotocolOffers offers(request.value);
  int count = 0;
  for (std::string_view name = offers.next(); !name.empty(); name = offers.next()) {
    push_text(L, name);
    lua_rawseti(L, -2, ++count);
  }
}

void push_protocol(lua_State* L, LuaRequest& request) {
  if (request.protocol.empty()) return lua_pushnil(L);
  push_text(L, request.protocol);
}

void push_address(lua_State* L, LuaRequest& request) {
  guarded(L, [&] { request.value = request.client.text(); });
  push_text(L, request.value);
}

void push_host(lua_State* L, LuaRequest& request) {
  // RFC 9112 3.2.2: where the target has a host, the header does not count.
  const std::string_view authority = target_authority(request.request.target());
  if (!authority.empty()) return push_text(L, authority);
  if (request.request.count("Host") == 0) return lua_pushnil(L);
  push_text(L, request.request.header("Host"));
}

void push_client_certificate(lua_State* L, LuaRequest& request) {
  if (!request.certificate) return lua_pushnil(L);
  guarded(L, [&] { request.description = std::make_unique<Certificate::Description>(request.certificate.describe()); });
  push_certificate(L, *request.description);
  request.description.reset();
}

struct Field {
  const char* name;
  void (*push)(lua_State*, LuaRequest&);
  bool is_table = false;
};

constexpr Field kFields[] = {
    {"method", push_method},
    {"uri", push_uri},
    {"path", push_path},
    {"query", push_query, true},
    {"query_string", push_query_string},
    {"headers", push_headers, true},
    {"cookies", push_cookies, true},
    {"protocols", push_protocols, true},
    {"protocol", push_protocol},
    {"body", push_body},
    {"http_version", push_http_version},
    {"host", push_host},
    {"address", push_address},
    {"is_secure", push_is_secure},
    {"client_certificate", push_client_certificate, true},
};

}  // namespace

void push_request_fields(lua_State* L) {
  lua_newtable(L);
  int number = 0;
  for (const Field& field : kFields) {
    lua_pushinteger(L, number++);
    lua_setfield(L, -2, field.name);
  }
}

int index_request(lua_State* L) {
  LuaRequest& request = check_request(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  if (lua_isnil(L, 3)) {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
  }
  const Field& field = kFields[lua_tointeger(L, 3)];
  if (!field.is_table) {
    field.push(L, request);
    return 1;
  }
  get_user_table(L, 1);
  const int own_table = lua_gettop(L);
  lua_pushvalue(L, 2);
  lua_rawget(L, own_table);
  if (!lua_isnil(L, -1)) return 1;
  field.push(L, request);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, own_table);
  return 1;
}

}  // namespace websockets::lua
