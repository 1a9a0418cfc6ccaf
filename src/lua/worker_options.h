// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cluster/worker_pool.h"
#include "lua/compat.h"

namespace websockets::lua {

class OptionReader;

// What run() is told of workers.
struct RunOptions {
  WorkerPoolOptions pool;
  std::vector<std::string> command;  // which starts the next version; empty: as this one was started
};

// A number of workers, as the option `workers` says it; unchanged: it is nil.
void read_workers(OptionReader& reader, std::size_t& workers);

// Raises "websocket could not run: " and why.
[[noreturn]] void raise_run_error(lua_State* L, const char* why);

// Reads the table that run() was given, at an index. Its functions go into the callbacks table. `pool.workers` is that
// of the context, 0: it has none; on return 0, too, where the table does not ask for workers.
void read_run_options(lua_State* L, int table, int callbacks, RunOptions& options);

}  // namespace websockets::lua
