// SPDX-License-Identifier: MIT
#include "lua/option_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "lua/near_miss.h"
#include "lua/push.h"

namespace websockets::lua {
namespace {

// Whether it is a string that the system, to which a zero ends it, sees as a whole.
bool is_text(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TSTRING) return false;
  std::size_t size;
  const char* text = lua_tolstring(L, index, &size);
  return std::strlen(text) == size;
}

std::string_view text_at(lua_State* L, int index) {
  std::size_t size;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

bool is_of_metatables(std::string_view key) { return key.starts_with("__"); }

}  // namespace

OptionReader::OptionReader(lua_State* L, int table, Raise raise_error, const char* prefix)
    : L_(L), table_(table), raise_error_(raise_error), prefix_(prefix) {
  luaL_checkstack(L, 16, "options");
}

// --- Reading ---

bool OptionReader::get(const char* name) {
  if (count_ == names_.size()) std::abort();
  names_[count_++] = name;
  lua_getfield(L_, table_, name);
  if (!lua_isnil(L_, -1)) return true;
  lua_pop(L_, 1);
  return false;
}

void OptionReader::raise_text(const char* why) {
  raise_error_(L_, why);
  std::abort();
}

const char* OptionReader::push_full_name(const char* name) {
  return lua_pushfstring(L_, "%s%s", prefix_, push_excerpt(L_, name));
}

void OptionReader::raise_value(const char* name, const char* expected) {
  const char* value = describe(L_);
  raise_text(lua_pushfstring(L_, "option '%s' is %s, expected %s", push_full_name(name), value, expected));
}

void OptionReader::read_boolean(const char* name, bool& value) {
  if (!get(name)) return;
  if (!lua_isboolean(L_, -1)) raise_value(name, "true or false");
  value = lua_toboolean(L_, -1) != 0;
  lua_pop(L_, 1);
}

bool OptionReader::take_number(const char* name, double least, double most, const char* expected, double& value) {
  if (!get(name)) return false;
  value = lua_isnumber(L_, -1) != 0 ? static_cast<double>(lua_tonumber(L_, -1)) : std::nan("");
  if (!(value >= least && value <= most)) raise_value(name, expected);
  return true;
}

void OptionReader::read_number(const char* name, double least, double most, const char* expected, double& value) {
  double number;
  if (!take_number(name, least, most, expected, number)) return;
  value = number;
  lua_pop(L_, 1);
}

bool OptionReader::take_whole(const char* name, double least, double most, const char* expected, double& value) {
  if (!take_number(name, least, most, expected, value)) return false;
  if (value != std::floor(value)) raise_value(name, expected);
  lua_pop(L_, 1);
  return true;
}

void OptionReader::read_choice(const char* name, const char* first, const char* second, bool& is_second) {
  if (!get(name)) return;
  const char* text = lua_type(L_, -1) == LUA_TSTRING ? lua_tostring(L_, -1) : "";
  is_second = std::strcmp(text, second) == 0;
  if (!is_second && std::strcmp(text, first) != 0) {
    const char* expected = lua_pushfstring(L_, "'%s' or '%s'", first, second);
    lua_insert(L_, -2);
    raise_value(name, expected);
  }
  lua_pop(L_, 1);
}

void OptionReader::read_text(const char* name, std::string& text) {
  if (!get(name)) return;
  if (!is_text(L_, -1)) raise_value(name, "a string without zeros");
  const char* value = lua_tostring(L_, -1);
  guarded(L_, [&] { text = value; });
  lua_pop(L_, 1);
}

bool OptionReader::begin_list(const char* name, const char* expected) {
  if (!get(name)) return false;
  if (lua_istable(L_, -1)) {
    refuse_names(name, expected);
    return true;
  }
  if (lua_type(L_, -1) == LUA_TSTRING) {
    const int value = lua_gettop(L_);
    expected = lua_pushfstring(L_, "a list, such as { %s }", describe(L_));
    lua_pushvalue(L_, value);
  }
  raise_value(name, expected);
}

void OptionReader::refuse_names(const char* name, const char* expected) {
  const int list = lua_gettop(L_);
  for (lua_pushnil(L_); lua_next(L_, list) != 0; lua_pop(L_, 1)) {
    if (lua_type(L_, -2) != LUA_TSTRING || is_of_metatables(text_at(L_, -2))) continue;
    const char* key = push_excerpt(L_, lua_tostring(L_, -2));
    raise_text(lua_pushfstring(L_, "option '%s' has the key '%s', expected %s", push_full_name(name), key, expected));
  }
}

bool OptionReader::next_text(const char* name, const char* expected, int place) {
  lua_rawgeti(L_, -1, place);
  if (lua_isnil(L_, -1)) {
    lua_pop(L_, 1);
    return false;
  }
  if (!is_text(L_, -1)) raise_value(name, expected);
  return true;
}

// --- Unknown keys ---

bool OptionReader::is_known(std::string_view key) const {
  return std::find(names_.data(), names_.data() + count_, key) != names_.data() + count_;
}

bool OptionReader::next_unknown(int table) {
  while (lua_next(L_, table) != 0) {
    lua_pop(L_, 1);
    if (lua_type(L_, -1) != LUA_TSTRING) continue;
    const std::string_view key = text_at(L_, -1);
    if (!is_of_metatables(key) && !is_known(key)) return true;
  }
  return false;
}

void OptionReader::replace_by_parent(int table) {
  if (luaL_getmetafield(L_, table, "__index") == 0) lua_pushnil(L_);
  lua_replace(L_, table);
}

// The name that is most like the key; null: none is.
const char* OptionReader::suggestion(std::string_view key) const {
  const char* best = nullptr;
  std::size_t least = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const std::optional<std::size_t> edits = near_miss(key, names_[i]);
    if (!edits || (best != nullptr && *edits >= least)) continue;
    best = names_[i];
    least = *edits;
  }
  return best;
}

void OptionReader::refuse(const char* key, const char* meant) {
  raise_text(lua_pushfstring(L_, "option '%s' is unknown, did you mean %s?", push_full_name(key), meant));
}

void OptionReader::refuse_near_miss(const char* key) {
  const char* const meant = suggestion(key);
  if (meant != nullptr) refuse(key, lua_pushfstring(L_, "'%s'", push_full_name(meant)));
}

void OptionReader::raise_unknown(const char* key) {
  raise_text(lua_pushfstring(L_, "option '%s' is unknown", push_full_name(key)));
}

}  // namespace websockets::lua
