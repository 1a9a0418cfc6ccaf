// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>

#include "lua/compat.h"

namespace websockets::lua {

// Pushes what run() returns: a status for os.exit, and what has ended it. `signal` 0: nobody's.
inline int push_run_result(lua_State* L, int signal, bool was_cut_short) {
  constexpr int kSignalStatus = 128;  // is added to a signal's number, as shells do it
  lua_pushinteger(L, was_cut_short ? kSignalStatus + signal : 0);
  lua_pushstring(L, signal == 0 ? "stop" : signal == SIGINT ? "SIGINT" : "SIGTERM");
  return 2;
}

}  // namespace websockets::lua
