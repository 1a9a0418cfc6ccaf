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

// An Error that a Lua error may jump over. A text that is too long is cut.
class ErrorCopy {
 public:
  ErrorCopy() = default;
  ErrorCopy(const Error& error) : code_(error.code) {  // NOLINT(google-explicit-constructor): `why = open();`
    error.text.copy(text_.data(), text_.size() - 1);
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

// The value at the top of the stack, as it is shown in an error.
inline const char* describe(lua_State* L) {
  switch (lua_type(L, -1)) {
    case LUA_TSTRING:
      return lua_pushfstring(L, "'%s'", lua_tostring(L, -1));
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
