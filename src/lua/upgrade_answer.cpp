// SPDX-License-Identifier: MIT
#include "lua/upgrade_answer.h"

#include <cmath>
#include <cstddef>

#include "http/response.h"
#include "lua/push.h"

namespace websockets::lua {
namespace {

constexpr int kForbidden = 403;

// Of the value at `index`, for an error.
const char* push_shown(lua_State* L, int index) {
  lua_pushvalue(L, index);
  return describe(L);
}

int check_status(lua_State* L, const char* who, int index) {
  if (lua_toboolean(L, index) == 0) return kForbidden;
  const double status = lua_type(L, index) == LUA_TNUMBER ? static_cast<double>(lua_tonumber(L, index)) : 0;
  if (!(status >= 200 && status <= 599 && status == std::floor(status))) {
    raise(L, "%s: a refusal has a status from 200 to 599, not %s", who, push_shown(L, index));
  }
  return static_cast<int>(status);
}

HeaderLines check_headers(lua_State* L, const char* who, int index) {
  if (!lua_isnoneornil(L, index) && !lua_istable(L, index)) {
    raise(L, "%s: the answer to a handshake has a table of headers, not %s", who, push_shown(L, index));
  }
  const HeaderLines headers = push_header_lines(L, index);
  if (headers.error != nullptr) {
    raise(L, "%s: the answer to a handshake cannot have these headers: %s", who, headers.error);
  }
  return headers;
}

}  // namespace

AnswerPlaces check_grant(lua_State* L, const char* who, int index) { return {101, check_headers(L, who, index)}; }

AnswerPlaces check_refusal(lua_State* L, const char* who, int index) {
  AnswerPlaces places{check_status(L, who, index), {}};
  const bool has_headers = lua_type(L, index + 1) != LUA_TSTRING;
  const int body = has_headers ? index + 2 : index + 1;
  if (has_headers) places.headers = check_headers(L, who, index + 1);
  if (lua_isnoneornil(L, body)) return places;
  if (lua_type(L, body) != LUA_TSTRING) {
    raise(L, "%s: the body of a refusal is a string, not %s", who, push_shown(L, body));
  }
  if (!may_have_body(places.status)) raise(L, "%s: a refusal of status %d has no body", who, places.status);
  places.body = body;
  return places;
}

UpgradeAnswer read_answer(lua_State* L, const AnswerPlaces& places) {
  UpgradeAnswer answer{places.status, std::string(places.headers.text), places.headers.has_content_type, {}};
  if (places.body != 0) {
    std::size_t size;
    const char* body = lua_tolstring(L, places.body, &size);
    answer.body.emplace(body, size);
  }
  return answer;
}

}  // namespace websockets::lua
