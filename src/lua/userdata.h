// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "lua/compat.h"

// The userdata of the binding's own types. Each type T names itself: T::kType, which is also the name of its metatable.

namespace websockets::lua {

// What tells a userdata from all others, whatever a script has done to metatables or the registry: nothing of it is in
// a table. Of the userdata of a library that lets scripts write its bytes, nobody can know what it would have to be, as
// it is made of the address and of this, which is random.
extern const std::uintptr_t kUserdataSecret;

template <typename T>
struct Userdata {
  std::uintptr_t tag;
  T object;

  static std::uintptr_t tag_at(const void* address) {
    return kUserdataSecret ^ reinterpret_cast<std::uintptr_t>(address) ^ reinterpret_cast<std::uintptr_t>(&T::kType);
  }
};

[[noreturn]] void raise_type_error(lua_State* L, int index, const char* expected);

// Null: the value at `index` is something else.
template <typename T>
T* find_object(lua_State* L, int index) {
  auto* const userdata = static_cast<Userdata<T>*>(lua_touserdata(L, index));
  if (userdata == nullptr || raw_length(L, index) != sizeof *userdata) return nullptr;
  return userdata->tag == Userdata<T>::tag_at(userdata) ? &userdata->object : nullptr;
}

template <typename T>
T& check_object(lua_State* L, int index) {
  T* const object = find_object<T>(L, index);
  if (object == nullptr) raise_type_error(L, index, T::kType);
  return *object;
}

// Pushes one. May run finalizers, which may do anything.
template <typename T>
T& push_object(lua_State* L) {
  auto* const userdata = static_cast<Userdata<T>*>(new_userdata(L, sizeof(Userdata<T>)));
  new (userdata) Userdata<T>{Userdata<T>::tag_at(userdata), T{}};
  luaL_getmetatable(L, T::kType);
  lua_setmetatable(L, -2);
  return userdata->object;
}

// Pushes a new metatable of this name, which scripts see in its place: what they could do with it, its finalizer
// included, is not for them.
void push_metatable(lua_State* L, const char* name);

}  // namespace websockets::lua
