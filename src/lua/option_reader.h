// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "lua/compat.h"
#include "lua/guarded.h"
#include "lua/push.h"

namespace websockets::lua {

// Reads the options of one table, and remembers which it has asked for: the other keys of the table are unknown. So an
// option has one place, where it is read; read what depends on another option whether or not that is there.
//
// Every method may raise an error, which jumps over the reader. The names of options have to outlive it. Options that
// stand in a table to which __index refers are options, too.
class OptionReader {
 public:
  using Raise = void (*)(lua_State* L, const char* why);  // raises an error with this text

  // `table`: its index. `prefix`: what stands before the names of the options in errors ("compression.").
  OptionReader(lua_State* L, int table, Raise raise_error, const char* prefix = "");

  lua_State* state() const { return L_; }
  Raise raise_error() const { return raise_error_; }

  // Pushes an option; false, and nothing pushed, when it is nil.
  bool get(const char* name);
  // Raises that the value on top of the stack is not what is expected.
  [[noreturn]] void raise_value(const char* name, const char* expected);
  [[noreturn]] void raise_text(const char* why);

  // Each of these leaves the value as it is when the option is nil.
  void read_boolean(const char* name, bool& value);
  // Strings that are numbers count. Whole: no fractions.
  void read_number(const char* name, double least, double most, const char* expected, double& value);
  template <typename Number>
  void read_whole(const char* name, double least, double most, const char* expected, Number& value) {
    double number;
    if (take_whole(name, least, most, expected, number)) value = static_cast<Number>(number);
  }
  template <typename Number>
  void read_whole(const char* name, double least, double most, const char* expected, std::optional<Number>& value) {
    double number;
    if (take_whole(name, least, most, expected, number)) value = static_cast<Number>(number);
  }
  // Which of the two it is.
  void read_choice(const char* name, const char* first, const char* second, bool& is_second);
  // A string without zeros: what the system sees as a whole.
  void read_text(const char* name, std::string& text);
  // Calls `take(text)` for each string of a list; false: it is not one of those expected. Returns whether there is a
  // list.
  template <typename Take>
  bool read_texts(const char* name, const char* expected, Take take) {
    if (!begin_list(name, expected)) return false;
    for (int i = 1; next_text(name, expected, i); ++i) {
      bool is_taken = false;
      const char* text = lua_tostring(L_, -1);
      guarded(L_, [&] { is_taken = take(text); });
      if (!is_taken) raise_value(name, expected);
      lua_pop(L_, 1);
    }
    lua_pop(L_, 1);
    return true;
  }

  // Once all options were asked for: raises an error that names a key that is unknown, and what was probably meant.
  void refuse_unknown() {
    refuse_unknown([](const char*) { return nullptr; });
  }
  // Likewise; `find_meant(key)`, which must not touch Lua, may say what is meant where no option is like it.
  template <typename FindMeant>
  void refuse_unknown(FindMeant find_meant) {
    for_each_unknown([&](const char* key) {
      if (const char* const meant = find_meant(key)) refuse(key, meant);
      refuse_near_miss(key);
      raise_unknown(key);
    });
  }
  // Likewise, but only for keys that are like an option, and for those of which `find_meant(key)` says what is meant;
  // calls `take()` with an excerpt of each of the others. Neither may touch Lua.
  template <typename FindMeant, typename Take>
  void refuse_meant(FindMeant find_meant, Take take) {
    for_each_unknown([&](const char* key) {
      if (const char* const meant = find_meant(key)) refuse(key, meant);
      refuse_near_miss(key);
      const char* const shown = push_excerpt(L_, key);
      guarded(L_, [&] { take(shown); });
      lua_pop(L_, 1);
    });
  }
  // Raises an error for a list, on top of the stack, that has a name for a key: nobody would read its value.
  void refuse_names(const char* name, const char* expected);

 private:
  const char* push_full_name(const char* name);
  bool take_whole(const char* name, double least, double most, const char* expected, double& value);
  bool take_number(const char* name, double least, double most, const char* expected, double& value);
  bool begin_list(const char* name, const char* expected);
  bool next_text(const char* name, const char* expected, int place);

  // With the key on top of the stack.
  template <typename Take>
  void for_each_unknown(Take take) {
    constexpr int kMostTables = 100;
    lua_pushvalue(L_, table_);
    const int table = lua_gettop(L_);
    for (int i = 0; i < kMostTables && lua_istable(L_, table); ++i) {
      lua_pushnil(L_);
      while (next_unknown(table)) take(lua_tostring(L_, -1));
      replace_by_parent(table);
    }
    lua_pop(L_, 1);
  }
  bool is_known(std::string_view key) const;
  bool next_unknown(int table);
  void replace_by_parent(int table);
  [[noreturn]] void refuse(const char* key, const char* meant);
  [[noreturn]] void raise_unknown(const char* key);
  const char* suggestion(std::string_view key) const;
  void refuse_near_miss(const char* key);

  lua_State* L_;
  int table_;
  Raise raise_error_;
  const char* prefix_;
  std::array<const char*, 128> names_;  // that were asked for; a table of Lua would be garbage of each call
  std::size_t count_ = 0;               // of them
};

}  // namespace websockets::lua
