// SPDX-License-Identifier: MIT
#include "lua/header_lines.h"

#include <algorithm>
#include <array>

#include "base/http_text.h"
#include "http/response.h"
#include "lua/push.h"

namespace websockets::lua {
namespace {

constexpr const char* kHeadersExpected = "a table of headers expected";
constexpr const char* kHeaderNameExpected = "a header's name is a token (RFC 9110 5.1)";
constexpr const char* kHeaderValueExpected = "a header's value is a string, a number or a list of them";
constexpr const char* kHeaderLineExpected = "a header's value has no control characters";
constexpr const char* kOtherHeaderExpected = "the library sets this header itself";
constexpr const char* kOneTypeExpected = "there is one Content-Type";

// They say where this answer ends and what becomes of the connection, which is not for a script to know.
constexpr std::array<std::string_view, 6> kOwnHeaders = {"Connection", "Content-Length",    "Date",
                                                         "Keep-Alive", "Transfer-Encoding", "Upgrade"};

std::string_view text_at(lua_State* L, int index) {
  std::size_t size;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

const char* check_name(std::string_view name) {
  if (!is_valid_header(name, {})) return kHeaderNameExpected;
  // RFC 6455 11.3: what the opening handshake consists of.
  constexpr std::string_view kHandshakePrefix = "Sec-WebSocket-";
  if (http_text::equals_ignoring_case(name.substr(0, kHandshakePrefix.size()), kHandshakePrefix)) {
    return kOtherHeaderExpected;
  }
  const bool is_own = std::any_of(kOwnHeaders.begin(), kOwnHeaders.end(),
                                  [&](std::string_view own) { return http_text::equals_ignoring_case(own, name); });
  return is_own ? kOtherHeaderExpected : nullptr;
}

// Takes the value off the top of the stack, and appends its line to the string at `lines`.
const char* append_line(lua_State* L, int lines, int name) {
  if (lua_isstring(L, -1) == 0) return kHeaderValueExpected;
  if (!is_valid_header(text_at(L, name), text_at(L, -1))) return kHeaderLineExpected;
  lua_pushvalue(L, lines);
  lua_pushvalue(L, name);
  lua_pushliteral(L, ": ");
  lua_pushvalue(L, -4);
  lua_pushliteral(L, "\r\n");
  lua_concat(L, 5);
  lua_replace(L, lines);
  lua_pop(L, 1);
  return nullptr;
}

// The same with a value, or a list of values, at `value`. `count`: how many there were.
const char* append_lines(lua_State* L, int lines, int name, int value, int& count) {
  count = 0;
  if (!lua_istable(L, value)) {
    lua_pushvalue(L, value);  // a number is converted in place
    ++count;
    return append_line(L, lines, name);
  }
  for (;;) {
    lua_rawgeti(L, value, count + 1);
    if (lua_isnil(L, -1)) break;
    if (const char* error = append_line(L, lines, name)) return error;
    ++count;
  }
  lua_pop(L, 1);
  return nullptr;
}

}  // namespace

HeaderLines push_header_lines(lua_State* L, int index) {
  HeaderLines result;
  luaL_checkstack(L, 12, "headers");
  lua_pushliteral(L, "");
  if (lua_isnoneornil(L, index)) return result;
  if (!lua_istable(L, index)) return {{}, false, kHeadersExpected};

  const int lines = lua_gettop(L);
  const int name = lines + 1;
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_settop(L, name)) {
    if (lua_type(L, name) != LUA_TSTRING) return {{}, false, kHeadersExpected};
    int count = 0;
    const char* error = check_name(text_at(L, name));
    if (error == nullptr) error = append_lines(L, lines, name, name + 1, count);
    if (error == nullptr && http_text::equals_ignoring_case(text_at(L, name), "Content-Type")) {
      count += result.has_content_type ? 1 : 0;
      if (count > 1) error = kOneTypeExpected;
      result.has_content_type = true;
    }
    if (error != nullptr)
      return {{}, false, lua_pushfstring(L, "'%s': %s", push_excerpt(L, lua_tostring(L, name)), error)};
  }
  result.text = text_at(L, lines);
  return result;
}

}  // namespace websockets::lua
