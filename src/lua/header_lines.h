// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "lua/compat.h"

namespace websockets::lua {

// The headers of an answer, as a script gives them, and as they are sent.
struct HeaderLines {
  std::string_view text;  // each with its CR LF; of a string that was pushed
  bool has_content_type = false;
  const char* error = nullptr;  // what cannot be sent, and why; there is nothing else then
};

// Reads the table at `index` (name -> string, number, or list of these, for a header that is repeated), or nil, and
// pushes one string. Headers that the library sets itself are an error.
HeaderLines push_header_lines(lua_State* L, int index);

}  // namespace websockets::lua
