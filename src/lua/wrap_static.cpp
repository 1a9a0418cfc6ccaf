// SPDX-License-Identifier: MIT
// websockets.static(): a handler for on_http that serves the files of a directory.
#include "lua/wrap_static.h"

#include <cmath>
#include <cstring>
#include <string>

#include "files/file_server.h"
#include "http/response.h"
#include "lua/check_bytes.h"
#include "lua/header_lines.h"
#include "lua/option_reader.h"
#include "lua/push.h"
#include "lua/wrap_websocket.h"
#include "server/http_exchange.h"

namespace websockets::lua {
namespace {

constexpr double kMaxSeconds = 1e9;

struct SiteUserdata {
  static constexpr char kType[] = "websockets.static";

  FileServer* site;  // null once collected
};

int collect(lua_State* L) {
  auto& userdata = check_object<SiteUserdata>(L, 1);
  delete userdata.site;
  userdata.site = nullptr;
  return 0;
}

// --- Options ---

[[noreturn]] void raise_static_error(lua_State* L, const char* why) {
  raise(L, "websocket could not serve a folder: %s", why);
}

// A string on top of the stack, without what ends a header or a path.
std::string_view check_text(OptionReader& reader, const char* name, const char* expected) {
  lua_State* const L = reader.state();
  if (lua_type(L, -1) != LUA_TSTRING) reader.raise_value(name, expected);
  const std::string_view text = as_text(check_bytes(L, -1));
  if (!is_valid_header("X", text)) reader.raise_value(name, expected);
  return text;
}

void add_index(OptionReader& reader, std::vector<std::string>& index) {
  constexpr const char* kExpected = "a name, a list of names, or false";
  const std::string_view name = check_text(reader, "index", kExpected);
  if (name.empty() || name.find('/') != std::string_view::npos) reader.raise_value("index", kExpected);
  guarded(reader.state(), [&] { index.emplace_back(name); });
}

void read_index(OptionReader& reader, std::vector<std::string>& index) {
  lua_State* const L = reader.state();
  if (!reader.get("index")) return;
  index.clear();
  if (lua_istable(L, -1)) {
    for (int i = 1;; ++i, lua_pop(L, 1)) {
      lua_rawgeti(L, -1, i);
      if (lua_isnil(L, -1)) break;
      add_index(reader, index);
    }
    lua_pop(L, 1);
  } else if (lua_toboolean(L, -1) != 0) {
    add_index(reader, index);
  }
  lua_pop(L, 1);
}

void read_types(OptionReader& reader, StaticOptions& options) {
  lua_State* const L = reader.state();
  if (!reader.get("types")) return;
  constexpr const char* kExpected = "a table from suffixes to content types";
  if (!lua_istable(L, -1)) reader.raise_value("types", kExpected);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    const std::string_view type = check_text(reader, "types", kExpected);
    lua_pushvalue(L, -2);
    const std::string_view suffix = check_text(reader, "types", kExpected);
    guarded(L, [&] { options.types.emplace_back(suffix, type); });
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void read_max_age(OptionReader& reader, StaticOptions& options) {
  double age = -1;
  reader.read_number("max_age", 0, kMaxSeconds, "a number of seconds from 0", age);
  if (age < 0) return;
  guarded(reader.state(), [&] { options.cache_control.append("max-age=").append(std::to_string(std::lround(age))); });
}

void read_headers(OptionReader& reader, StaticOptions& options) {
  lua_State* const L = reader.state();
  if (!reader.get("headers")) return;
  const HeaderLines headers = push_header_lines(L, lua_gettop(L));
  if (headers.error != nullptr) raise_static_error(L, lua_pushfstring(L, "option 'headers': %s", headers.error));
  if (headers.has_content_type) raise_static_error(L, "option 'headers': Content-Type is for option 'types'");
  guarded(L, [&] { options.header_lines = headers.text; });
  lua_pop(L, 2);
}

void read_options(lua_State* L, int table, StaticOptions& options) {
  OptionReader reader(L, table, raise_static_error);
  reader.read_boolean("dotfiles", options.shows_hidden);
  reader.read_boolean("follow_symlinks", options.follows_links);
  reader.read_boolean("fallthrough", options.falls_through);
  reader.read_boolean("precompressed", options.has_compressed);
  read_index(reader, options.index);
  read_types(reader, options);
  read_max_age(reader, options);
  read_headers(reader, options);
  reader.refuse_unknown();
}

// --- The handler ---

int push_refusal(lua_State* L, const char* why) {
  lua_pushboolean(L, 0);
  lua_pushstring(L, why);
  return 2;
}

// handler(ws, uri): its upvalue is the site.
int serve(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const std::string_view target = as_text(check_bytes(L, 2));
  const FileServer* const site = check_object<SiteUserdata>(L, lua_upvalueindex(1)).site;
  if (site == nullptr) raise_static_error(L, "it was collected");  // a finalizer asks
  if (is_closed(ws)) return push_refusal(L, "closed");
  HttpExchange* const exchange = http_of(ws);
  if (exchange == nullptr) return luaL_error(L, "websocket static files are for on_http only");
  if (!exchange->awaits_answer()) return push_refusal(L, "already answered");
  bool was_answered = false;
  with_entry(L, ws, [&] { was_answered = site->answer(*exchange, target); });
  lua_pushboolean(L, was_answered ? 1 : 0);
  return 1;
}

}  // namespace

int create_static(lua_State* L) {
  if (lua_istable(L, 1)) {
    lua_getfield(L, 1, "static");
    luaL_argcheck(L, lua_tocfunction(L, -1) != create_static, 1, "call websockets.static with '.', not with ':'");
    lua_pop(L, 1);
  }
  std::size_t size;
  const char* root = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, std::strlen(root) == size, 1, "a path has no zeros");
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checkstack(L, 16, "static");
  SiteUserdata& userdata = push_object<SiteUserdata>(L);
  guarded(L, [&] { userdata.site = new FileServer; });
  if (lua_istable(L, 2)) read_options(L, 2, userdata.site->options);

  ErrorCopy why;
  guarded(L, [&] { why = userdata.site->open(root); });
  if (why) raise_static_error(L, why.text());
  lua_pushcclosure(L, serve, 1);
  return 1;
}

void register_static(lua_State* L) {
  constexpr luaL_Reg kMetamethods[] = {{"__gc", collect}, {nullptr, nullptr}};
  push_metatable(L, SiteUserdata::kType);
  set_functions(L, kMetamethods);
  lua_pop(L, 1);
}

}  // namespace websockets::lua
