// SPDX-License-Identifier: MIT
#include "lua/describe_error.h"

#include "lua/push.h"

namespace websockets::lua {
namespace {

constexpr int kMostFields = 20;

bool is_text(lua_State* L, int index) { return lua_isstring(L, index) != 0; }

// What __tostring returns may be anything; one that fails is passed over.
bool push_by_metamethod(lua_State* L, int index) {
  if (luaL_getmetafield(L, index, "__tostring") == 0) return false;
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) == 0 && is_text(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

// Appends the field whose key and value are on top of the stack to the text at `text`.
void append_field(lua_State* L, int text, const char* separator) {
  const int key = lua_gettop(L) - 1;
  const char* value = describe(L);
  lua_pushvalue(L, key);
  const char* format = lua_type(L, key) == LUA_TSTRING ? "%s%s%s = %s" : "%s%s[%s] = %s";
  const char* name = lua_type(L, key) == LUA_TSTRING ? lua_tostring(L, key) : describe(L);
  lua_pushfstring(L, format, lua_tostring(L, text), separator, name, value);
  lua_replace(L, text);
  lua_settop(L, key + 1);
}

void push_fields(lua_State* L, int table) {
  lua_pushliteral(L, "table {");
  const int text = lua_gettop(L);
  int count = 0;
  for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
    if (++count > kMostFields) {
      lua_settop(L, text);
      lua_pushliteral(L, ", ...");
      lua_concat(L, 2);
      break;
    }
    append_field(L, text, count == 1 ? " " : ", ");
  }
  lua_pushstring(L, count == 0 ? "}" : " }");
  lua_concat(L, 2);
}

}  // namespace

void describe_error(lua_State* L, int index) {
  if (is_text(L, index)) return;
  luaL_checkstack(L, 12, "error");
  if (!push_by_metamethod(L, index)) {
    if (lua_istable(L, index)) {
      push_fields(L, index);
    } else {
      lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
    }
  }
  lua_replace(L, index);
}

}  // namespace websockets::lua
