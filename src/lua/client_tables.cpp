// SPDX-License-Identifier: MIT
#include "lua/client_tables.h"

#include <optional>
#include <string>

#include "client/client.h"
#include "client/client_failure.h"
#include "lua/push.h"
#include "lua/push_headers.h"

namespace websockets::lua {
namespace {

constexpr const char* kFailureType = "websockets.failure";

void push_headers(lua_State* L, const ReceivedHead& head) {
  push_empty_headers(L);
  websockets::HeaderLines headers = head.headers();
  std::string_view name;
  std::string_view value;
  while (headers.next(name, value)) add_header(L, name, value);
}

struct ResponseCopy {
  ClientResponse response;
  std::string protocol;
  std::optional<Certificate::Description> certificate;
};

int push_response_copy(lua_State* L) {
  const auto& copy = *static_cast<const ResponseCopy*>(lua_touserdata(L, 1));
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, copy.response.head().status());
  lua_setfield(L, -2, "status");
  set_text(L, "url", copy.response.url());
  push_headers(L, copy.response.head());
  lua_setfield(L, -2, "headers");
  if (!copy.protocol.empty()) set_text(L, "protocol", copy.protocol);
  if (copy.certificate) {
    push_certificate(L, *copy.certificate);
    lua_setfield(L, -2, "certificate");
  }
  return 1;
}

int to_string(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "message");
  return 1;
}

}  // namespace

void push_response(lua_State* L, const Client& client) {
  if (client.response() == nullptr) return lua_pushnil(L);
  push_copy(L, push_response_copy, [&] {
    ResponseCopy copy{*client.response(), std::string(client.response()->protocol()), {}};
    if (const Certificate certificate = client.certificate()) copy.certificate = certificate.describe();
    return copy;
  });
}

void push_failure(lua_State* L, const ClientFailure& failure) {
  if (!failure) return lua_pushnil(L);
  lua_createtable(L, 0, 8);
  luaL_getmetatable(L, kFailureType);
  lua_setmetatable(L, -2);
  const auto set_number = [L](const char* name, int number) {
    if (number == 0) return;
    lua_pushinteger(L, number);
    lua_setfield(L, -2, name);
  };
  const auto set_text_if = [L](const char* name, std::string_view text) {
    if (!text.empty()) set_text(L, name, text);
  };
  set_text(L, "kind", name_of(failure.kind));
  set_text(L, "message", failure.message);
  set_text_if("phase", name_of(failure.phase));
  set_text_if("address", failure.address);
  set_number("code", failure.code);
  set_number("close_code", static_cast<int>(failure.close_code));
  if (failure.kind != FailureKind::kHttp) return;
  set_number("status", failure.answer.status());
  push_headers(L, failure.answer);
  lua_setfield(L, -2, "headers");
  set_text(L, "body", failure.body);
}

void register_failure(lua_State* L) {
  luaL_newmetatable(L, kFailureType);
  lua_pushcfunction(L, to_string);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
}

}  // namespace websockets::lua
