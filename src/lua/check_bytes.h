// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "lua/compat.h"

namespace websockets::lua {

// The bytes of an argument that is a string, as luaL_checkstring has it.
inline std::span<const std::uint8_t> check_bytes(lua_State* L, int index) {
  std::size_t size;
  const char* data = luaL_checklstring(L, index, &size);
  return as_bytes({data, size});
}

}  // namespace websockets::lua
