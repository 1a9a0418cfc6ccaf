// SPDX-License-Identifier: MIT
// What is said of workers: by `workers` of websockets.context(), and in the table given to run().
#include "lua/worker_options.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/cpu_count.h"
#include "lua/callback_table.h"
#include "lua/caller_line.h"
#include "lua/option_reader.h"
#include "lua/option_values.h"

namespace websockets::lua {
namespace {

constexpr const char* kCommandWanted = "a command for the shell, or a list of a program and its arguments";

void read_function(OptionReader& reader, const char* name, int callbacks, int slot) {
  lua_State* const L = reader.state();
  if (!reader.get(name)) {
    lua_pushboolean(L, 0);
  } else if (!lua_isfunction(L, -1)) {
    reader.raise_value(name, "a function");
  }
  lua_rawseti(L, callbacks, slot);
}

// A text is for the shell.
void read_command(OptionReader& reader, std::vector<std::string>& command) {
  lua_State* const L = reader.state();
  if (!reader.get("command")) return;
  const bool is_text = lua_type(L, -1) == LUA_TSTRING;
  lua_pop(L, 1);
  if (is_text) {
    guarded(L, [&] { command = {"/bin/sh", "-c", ""}; });
    return reader.read_text("command", command.back());
  }
  reader.read_texts("command", kCommandWanted, [&](const char* word) {
    command.emplace_back(word);
    return true;
  });
  if (command.empty()) reader.raise_text("option 'command' is empty");
}

// Raises which of the options is there that are of no use without workers.
void refuse_without_workers(OptionReader& reader, int table) {
  lua_State* const L = reader.state();
  for (const char* name : {"on_worker", "on_worker_exit", "hang_timeout", "drain", "command"}) {
    lua_getfield(L, table, name);
    if (!lua_isnil(L, -1)) reader.raise_text(lua_pushfstring(L, "option '%s' needs 'workers'", name));
    lua_pop(L, 1);
  }
}

}  // namespace

void read_workers(OptionReader& reader, std::size_t& workers) {
  constexpr double kMostWorkers = 1024;
  lua_State* const L = reader.state();
  if (!reader.get("workers")) return;
  const bool is_auto = lua_type(L, -1) == LUA_TSTRING && std::strcmp(lua_tostring(L, -1), "auto") == 0;
  const double number = lua_isnumber(L, -1) != 0 ? static_cast<double>(lua_tonumber(L, -1)) : 0;
  const bool is_count = number >= 1 && number <= kMostWorkers && number == std::floor(number);
  if (!is_auto && !is_count) reader.raise_value("workers", "'auto', or a number of workers from 1 to 1024");
  workers = static_cast<std::size_t>(number);
  if (is_auto)
    guarded(L,
            [&] { workers = std::min(static_cast<std::size_t>(cpu_count()), static_cast<std::size_t>(kMostWorkers)); });
  lua_pop(L, 1);
}

void raise_run_error(lua_State* L, const char* why) { raise_at_caller(L, "websocket could not run: %s", why); }

void read_run_options(lua_State* L, int table, int callbacks, RunOptions& options) {
  constexpr const char* kSeconds = "a number of seconds from 0 to 1e9";
  WorkerPoolOptions& pool = options.pool;
  const std::size_t of_context = pool.workers;
  OptionReader reader(L, table, raise_run_error);
  read_workers(reader, pool.workers);
  read_milliseconds(reader, "shutdown", 0, kMaxSeconds, kSeconds, pool.shutdown_ms);
  read_optional_seconds(reader, "hang_timeout", pool.hang_timeout_ms);
  read_milliseconds(reader, "drain", 0, kMaxSeconds, kSeconds, pool.drain_ms);
  read_function(reader, "on_worker", callbacks, kOnWorker);
  read_function(reader, "on_worker_exit", callbacks, kOnWorkerExit);
  read_command(reader, options.command);
  reader.refuse_unknown();
  if (pool.workers == 0) refuse_without_workers(reader, table);
  if (of_context != 0 && pool.workers != of_context) {
    reader.raise_text(lua_pushfstring(L, "option 'workers' is %d, but %d in websockets.context",
                                      static_cast<int>(pool.workers), static_cast<int>(of_context)));
  }
}

}  // namespace websockets::lua
