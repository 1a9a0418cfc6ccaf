// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"
#include "server/fork_link.h"

namespace websockets::lua {

// Pushes what a function returns that has sent something to a forked process.
inline int push_link_status(lua_State* L, ForkLink::Status status) {
  lua_pushinteger(L, status == ForkLink::Status::kSent ? 0 : -1);
  if (status == ForkLink::Status::kSent) return 1;
  lua_pushstring(L, status == ForkLink::Status::kBusy ? "busy" : "closed");
  return 2;
}

}  // namespace websockets::lua
