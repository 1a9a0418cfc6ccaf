// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string_view>

#include "base/result.h"
#include "lua/compat.h"
#include "lua/guarded.h"

// What several files push.

namespace websockets::lua {

inline void push_text(lua_State* L, std::string_view text) { lua_pushlstring(L, text.data(), text.size()); }

// Sets a field of the table on top of the stack.
inline void set_text(lua_State* L, const char* name, std::string_view text) {
  push_text(L, text);
  lua_setfield(L, -2, name);
}

// Pushes what `push` makes of what `take` returns, which it is given as a light userdata: a copy of what the engine
// has. Making a table may run finalizers, which may change the engine's. The copy is freed whether or not `push`
// succeeds.
template <typename Take>
int push_copy(lua_State* L, lua_CFunction push, Take take) {
  luaL_checkstack(L, 4, "websocket");
  lua_pushcfunction(L, push);
  int failed = 0;
  guarded(L, [&] {
    auto copy = take();
    lua_pushlightuserdata(L, &copy);
    failed = lua_pcall(L, 1, 1, 0);
  });
  return failed == 0 ? 1 : lua_error(L);
}

// Whether a text that is cut there would be so within a character of UTF-8.
inline bool is_within_character(std::string_view text, std::size_t at) {
  return at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
}

// An Error that a Lua error may jump over. Of one that is too long the middle is left out: what is wrong is said last.
class ErrorCopy {
 public:
  ErrorCopy() = default;
  ErrorCopy(const Error& error) : code_(error.code) {  // NOLINT(google-explicit-constructor): `why = open();`
    constexpr std::string_view kLeftOut = "…";
    const std::string_view text = error.text;
    if (text.size() < text_.size()) {
      text.copy(text_.data(), text.size());
      return;
    }
    std::size_t first = text_.size() / 2 - kLeftOut.size();
    std::size_t rest = text.size() - (text_.size() - 1 - text_.size() / 2);
    while (is_within_character(text, first)) --first;
    while (is_within_character(text, rest)) ++rest;
    text.copy(text_.data(), first);
    kLeftOut.copy(text_.data() + first, kLeftOut.size());
    text.substr(rest).copy(text_.data() + first + kLeftOut.size(), text.size() - rest);
  }

  explicit operator bool() const { return text_.front() != '\0'; }
  const char* text() const { return text_.data(); }
  int code() const { return code_; }

 private:
  std::array<char, 512> text_{};
  int code_ = 0;
};

// Pushes what a function returns that has failed: nil, the text, the code.
inline int push_error(lua_State* L, const ErrorCopy& error) {
  lua_pushnil(L);
  lua_pushstring(L, error.text());
  lua_pushinteger(L, error.code());
  return 3;
}

// Pushes a text as it is shown in an error: of one that is long the beginning.
inline const char* push_excerpt(lua_State* L, std::string_view text) {
  std::size_t shown = 100;
  while (is_within_character(text, shown)) --shown;
  push_text(L, text.substr(0, shown));
  lua_pushstring(L, text.size() > shown ? "…" : "");
  lua_concat(L, 2);
  return lua_tostring(L, -1);
}

// The value at the top of the stack, as it is shown in an error.
inline const char* describe(lua_State* L) {
  switch (lua_type(L, -1)) {
    case LUA_TSTRING:
      return lua_pushfstring(L, "'%s'", push_excerpt(L, lua_tostring(L, -1)));
    case LUA_TNUMBER:
      lua_pushvalue(L, -1);
      return lua_tostring(L, -1);
    case LUA_TBOOLEAN:
      return lua_toboolean(L, -1) != 0 ? "true" : "false";
    default:
      return luaL_typename(L, -1);
  }
}

}  // namespace websockets::lua
