// SPDX-License-Identifier: MIT
#include "lua/worker_conditions.h"

#include "lua/lua_clients.h"
#include "lua/lua_context.h"
#include "lua/shared_state.h"
#include "lua/worker_options.h"
#include "lua/wrap_context.h"
#include "server/context.h"

namespace websockets::lua {
namespace {

[[noreturn]] void refuse(lua_State* L, const char* why) {
  raise_run_error(L, lua_pushfstring(L, "workers cannot be started %s", why));
}

// That takes connections, timers, or nothing at all, away from where the workers would be served.
void check_outer_loop(lua_State* L, LuaContext& context) {
  if (context.context().options().announces_descriptors || context.is_announced_while_busy()) {
    refuse(L, "in a context of another event loop: on_add_fd, or an adapter, is in use");
  }
  if (context.loop()->is_pollable()) refuse(L, "in a context of another event loop: pollfd is in use");
}

// But for the default context, as long as that has nothing to do.
void check_others(lua_State* L, const LuaContext& context) {
  const int top = lua_gettop(L);
  push_shared_table(L);
  lua_rawgeti(L, -1, kContexts);
  for (lua_pushnil(L); lua_next(L, top + 2) != 0; lua_settop(L, top + 3)) {
    const LuaContext* const other = context_at(L, top + 4);
    if (other == nullptr || other == &context || !other->is_open()) continue;
    const bool is_default = other == context.shared().default_context;
    if (is_default && other->is_idle()) continue;
    refuse(L, is_default ? "while the default context has clients, timers or coroutines"
                         : lua_pushfstring(L, "while there is another context, %p", lua_topointer(L, top + 4)));
  }
  lua_settop(L, top);
}

}  // namespace

void check_worker_conditions(lua_State* L, LuaContext& context) {
  if (context.shared().running != nullptr) refuse(L, "inside a callback");
  if (lua_pushthread(L) == 0) refuse(L, "inside a coroutine");
  lua_pop(L, 1);
  if (context.context().listener_count() == 0) refuse(L, "in a context that listens nowhere");
  const ContextOptions& options = context.context().options();
  if (options.workers == 0 && (options.uid || options.gid)) {
    refuse(L, "in a context with uid or gid that was not told of them: it has to have the option workers");
  }
  check_outer_loop(L, context);
  if (context.has_clients() && context.clients().count() > 0)
    refuse(L, lua_pushfstring(L, "while the context has clients: %d", static_cast<int>(context.clients().count())));
  const std::size_t connections = context.loop()->channel_count();
  if (connections > 0)
    refuse(L, lua_pushfstring(L, "while the context has open connections: %d", static_cast<int>(connections)));
  check_others(L, context);
}

}  // namespace websockets::lua
