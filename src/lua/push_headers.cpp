// SPDX-License-Identifier: MIT
#include "lua/push_headers.h"

#include <cstdint>

#include "base/http_text.h"
#include "lua/push.h"
#include "lua/userdata.h"

namespace websockets::lua {
namespace {

void push_lower(lua_State* L, std::string_view text) {
  luaL_Buffer lower;
  luaL_buffinit(L, &lower);
  for (const char c : text) luaL_addchar(&lower, http_text::to_lower(c));
  luaL_pushresult(&lower);
}

int index_headers(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  std::size_t size;
  const char* name = lua_tolstring(L, 2, &size);
  push_lower(L, {name, size});
  lua_rawget(L, 1);
  return 1;
}

}  // namespace

// The keys are in lower case; the metatable finds the others.
void push_empty_headers(lua_State* L) {
  lua_newtable(L);
  luaL_getmetatable(L, kHeadersType);
  lua_setmetatable(L, -2);
}

void add_header(lua_State* L, std::string_view name, std::string_view value) {
  push_lower(L, name);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    push_text(L, value);
  } else {
    // What stands between cookies is another thing (RFC 9113 8.2.3).
    lua_pushstring(L, http_text::equals_ignoring_case(name, "Cookie") ? "; " : ", ");
    push_text(L, value);
    lua_concat(L, 3);
  }
  lua_rawset(L, -3);
}

void register_headers(lua_State* L) {
  push_metatable(L, kHeadersType);
  lua_pushcfunction(L, index_headers);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void push_certificate(lua_State* L, const Certificate::Description& description) {
  lua_createtable(L, 0, 6);
  const auto set_time = [L](const char* name, std::int64_t seconds) {
    lua_pushnumber(L, static_cast<lua_Number>(seconds));
    lua_setfield(L, -2, name);
  };
  set_text(L, "subject", description.subject);
  set_text(L, "issuer", description.issuer);
  set_text(L, "serial", description.serial);
  set_text(L, "fingerprint", description.fingerprint);
  set_time("not_before", description.not_before);
  set_time("not_after", description.not_after);
}

}  // namespace websockets::lua
