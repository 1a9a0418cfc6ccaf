// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"

namespace websockets {
struct WorkerPoolOptions;
}

namespace websockets::lua {

class OptionReader;

// A number of workers, as the option `workers` says it; unchanged: it is nil.
void read_workers(OptionReader& reader, int& workers);

// Raises "websocket could not run: " and why.
[[noreturn]] void raise_run_error(lua_State* L, const char* why);

// Reads the table that run() was given, at an index. Its functions go into the callbacks table. `workers` of the
// options are those of the context, 0: it has none; on return 0, too, where the table does not ask for workers.
void read_run_options(lua_State* L, int table, int callbacks, WorkerPoolOptions& options);

}  // namespace websockets::lua
