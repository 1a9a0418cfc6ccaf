// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "lua/compat.h"
#include "lua/header_lines.h"
#include "server/pending_upgrade.h"

namespace websockets::lua {

// An answer to a request for a websocket; its texts are on the stack.
struct AnswerPlaces {
  int status = 101;
  HeaderLines headers;
  int body = 0;  // index of a string; 0: none
};

// A grant, with the headers at `index`, which may be nil. Raises an error when they cannot be sent. Pushes something.
// `who` gives the answer: what an error begins with.
AnswerPlaces check_grant(lua_State* L, const char* who, int index);
// A refusal: at `index` a status, or false or nil for 403, then headers and a body, each of which may be left out.
// Raises an error when it cannot be sent. Pushes something.
AnswerPlaces check_refusal(lua_State* L, const char* who, int index);
// Reads what these two have let pass. Never raises; throws std::bad_alloc.
UpgradeAnswer read_answer(lua_State* L, const AnswerPlaces& places);

}  // namespace websockets::lua
