// SPDX-License-Identifier: MIT
// run() with workers, and context:worker.
#include "lua/wrap_workers.h"

#include <array>
#include <cerrno>
#include <string>

#include "cluster/listener_handover.h"
#include "lua/caller_line.h"
#include "lua/entry.h"
#include "lua/lua_context.h"
#include "lua/lua_workers.h"
#include "lua/push.h"
#include "lua/run_result.h"
#include "lua/worker_conditions.h"
#include "lua/worker_options.h"
#include "lua/wrap_context.h"
#include "net/background_task.h"
#include "net/foreign_sockets.h"
#include "server/context.h"

namespace websockets::lua {
namespace {

constexpr std::uint64_t kLookupMs = 5'000;

// Connections that the script has made, as to a database: each process would get a part of what comes there.
void warn_of_sockets(lua_State* L, LuaContext& context, int callbacks) {
  std::array<char, 256> numbers{};
  guarded(L, [&] {
    std::string list;
    const ListenerHandover* const previous = ListenerHandover::of_process();
    const std::array<int, 1> own{previous == nullptr ? -1 : previous->fd()};
    for (const int fd : foreign_sockets(own)) list.append(list.empty() ? "" : ", ").append(std::to_string(fd));
    list.copy(numbers.data(), numbers.size() - 1);
  });
  if (numbers.front() == '\0') return;
  push_caller_line(L);
  lua_pushfstring(
      L, "%swarning: all workers share the connected sockets %s: what each needs for itself is opened in on_worker",
      lua_tostring(L, -1), numbers.data());
  const int text = lua_gettop(L);
  enter(L, context, callbacks, [&] { context.calls().report_warning(text); });
  lua_pop(L, 2);
}

int worker(lua_State* L) {
  int callbacks;
  const LuaContext& context = check_context(L, callbacks);
  const LuaWorkers* const workers = context.find_workers();
  if (workers == nullptr || workers->worker() == nullptr) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, workers->worker()->id());
  lua_pushinteger(L, workers->worker()->count());
  return 2;
}

}  // namespace

bool is_run_by_workers(const LuaContext& context) {
  const LuaWorkers* const workers = context.find_workers();
  return workers != nullptr && workers->are_running();
}

bool read_run_arguments(lua_State* L, LuaContext& context, int callbacks, int index, std::uint64_t& shutdown_ms) {
  const bool is_table = lua_istable(L, index);
  const std::size_t of_context = context.context().options().workers;
  if (is_run_by_workers(context)) return true;
  if (!is_table && of_context == 0) return false;
  LuaWorkers* workers = nullptr;
  guarded(L, [&] {
    workers = &context.workers();
    workers->options = {};
  });
  workers->options.pool.workers = of_context;
  workers->options.pool.shutdown_ms = shutdown_ms;
  if (is_table) read_run_options(L, index, callbacks, workers->options);
  shutdown_ms = workers->options.pool.shutdown_ms;
  return workers->options.pool.workers > 0;
}

int run_by_workers(lua_State* L, LuaContext& context, int callbacks) {
  lua_gc(L, LUA_GCCOLLECT, 0);  // contexts that nobody refers to are no others, and no worker copies what is garbage
  check_worker_conditions(L, context);
  warn_of_sockets(L, context, callbacks);
  ErrorCopy why;
  WorkersEnd end{};
  guarded(L, [&] {
    if (!wait_for_background_tasks(kLookupMs)) {
      why = Error{"a look-up of a name does not come to an end", ETIMEDOUT};
      return;
    }
    const Result<WorkersEnd> result = context.workers().run(L, callbacks);
    if (result) {
      end = *result;
    } else {
      why = result.error();
    }
  });
  context.calls().raise_interruption(L, callbacks);
  return why ? push_error(L, why) : push_run_result(L, end.signal, end.was_cut_short);
}

const luaL_Reg kContextWorkerMethods[] = {{"worker", worker}, {nullptr, nullptr}};

}  // namespace websockets::lua
