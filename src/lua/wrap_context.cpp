// SPDX-License-Identifier: MIT
// The methods of a context.
#include "lua/wrap_context.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>

#include "cluster/fork_service_loop.h"
#include "lua/caller_line.h"
#include "lua/check_bytes.h"
#include "lua/context_options.h"
#include "lua/entry.h"
#include "lua/guarded.h"
#include "lua/lua_context.h"
#include "lua/lua_workers.h"
#include "lua/other_contexts.h"
#include "lua/push.h"
#include "lua/push_delivery.h"
#include "lua/shared_state.h"
#include "lua/userdata.h"
#include "lua/wrap_client.h"
#include "lua/wrap_cluster.h"
#include "lua/wrap_outer_loop.h"
#include "lua/wrap_run.h"
#include "lua/wrap_stats.h"
#include "lua/wrap_timers.h"
#include "lua/wrap_topics.h"
#include "lua/wrap_websockets.h"
#include "lua/wrap_workers.h"
#include "server/context.h"

namespace websockets::lua {
namespace {

struct ContextUserdata {
  static constexpr char kType[] = "websockets.context";

  LuaContext* context;  // null once collected
};

// Notes the userdata at `index` as that of a context.
void note_context(lua_State* L, int index, LuaContext& context) {
  push_shared_table(L);
  lua_rawgeti(L, -1, kContexts);
  lua_pushlightuserdata(L, &context);
  lua_pushvalue(L, index);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

ContextUserdata& check_userdata(lua_State* L) { return check_object<ContextUserdata>(L, 1); }

// NaN and what no wait can be are errors; fractions are rounded up, so that a short wait is not taken for none.
int check_timeout_ms(lua_State* L, int index) {
  const double timeout = static_cast<double>(luaL_optnumber(L, index, 0));
  luaL_argcheck(L, !std::isnan(timeout), index, "a number of milliseconds expected");
  if (timeout < 0) return -1;
  return static_cast<int>(std::min(std::ceil(timeout), static_cast<double>(std::numeric_limits<int>::max())));
}

int service(lua_State* L) {
  lua_settop(L, 2);  // what check_context() pushes is no argument
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  const int timeout_ms = check_timeout_ms(L, 2);
  if (is_run_by_workers(context) && context.find_workers()->worker() == nullptr) {
    lua_pushinteger(L, 0);
    return 1;
  }
  enter(L, context, callbacks, [&] { context.context().service(timeout_ms); });
  lua_pushinteger(L, 0);
  return 1;
}

int fork_service_loop(lua_State* L) {
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  if (context.in_round()) return luaL_error(L, "websocket fork_service_loop inside a callback");
  if (context.context().is_served_elsewhere()) return luaL_error(L, "websocket fork_service_loop was called already");
  if (is_run_by_workers(context)) return luaL_error(L, "websocket fork_service_loop in a context of workers");
  if (context.cluster() != nullptr) return luaL_error(L, "websocket fork_service_loop in a context with a cluster");
  int error = 0;
  enter(L, context, callbacks, [&] {
    error = websockets::fork_service_loop(context.context(), [&] { destroy_others(context); }).code;
    if (error == 0) context.timers().stop_all(L, callbacks);
  });
  lua_pushinteger(L, error == 0 ? 0 : -1);
  if (error == 0) return 1;
  lua_pushstring(L, std::strerror(error));
  return 2;
}

int broadcast(lua_State* L) {
  lua_settop(L, 3);
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  luaL_checkstring(L, 2);
  const std::span<const std::uint8_t> data = check_bytes(L, 3);
  const Subprotocol& protocol = check_protocol(L, context, 2);
  DeliveryStatus status{};
  enter(L, context, callbacks, [&] { status = context.context().hub().broadcast(protocol, data); });
  return push_delivery(L, status);
}

int canonical_hostname(lua_State* L) {
  int callbacks;
  const LuaContext& context = check_context(L, callbacks);
  std::array<char, 256> name{};
  const bool is_known = !context.skips_canonical_name && gethostname(name.data(), name.size() - 1) == 0;
  lua_pushstring(L, is_known ? name.data() : "unknown");
  return 1;
}

// Calls a function; what it writes leaves afterwards, in one system call per connection.
int batch(lua_State* L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  int failed = 0;
  enter(L, context, callbacks, [&] {
    lua_pushvalue(L, 2);
    failed = lua_pcall(L, 0, 0, 0);
    if (failed != 0) lua_replace(L, 2);
  });
  if (failed == 0) return 0;
  lua_settop(L, 2);
  return lua_error(L);
}

int reload_certificates(lua_State* L) {
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  ErrorCopy why;
  guarded(L, [&] { why = context.context().reload_certificates(); });
  if (why) return push_error(L, why);
  lua_pushboolean(L, 1);
  return 1;
}

int addresses(lua_State* L) {
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  lua_newtable(L);
  for (int i = 0; i < static_cast<int>(context.context().listener_count()); ++i) {
    std::array<char, 160> text{};
    guarded(L,
            [&] { context.context().address(static_cast<std::size_t>(i)).text().copy(text.data(), text.size() - 1); });
    lua_pushstring(L, text.data());
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

// A context that never came to be has nothing to destroy.
bool is_open(const ContextUserdata& userdata) { return userdata.context != nullptr && userdata.context->is_open(); }

int destroy(lua_State* L) {
  if (!is_open(check_userdata(L))) return 0;
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  enter(L, context, callbacks, [&] { context.context().destroy(); });
  return 0;
}

// Whoever lets a context be collected is not told otherwise.
void report_unsent(lua_State* L, LuaContext& context, int callbacks) {
  if (context.unsent_bytes == 0) return;
  lua_pushinteger(L, static_cast<lua_Integer>(context.unsent_bytes));
  lua_pushfstring(L, "warning: %s bytes were not sent, as their context was collected: a script ends by ws:close()",
                  lua_tostring(L, -1));
  const int text = lua_gettop(L);
  guarded(L, [&] {
    const Entry entry(context, L, callbacks);
    context.calls().report_warning(text);
  });
}

int collect(lua_State* L) {
  ContextUserdata& userdata = check_userdata(L);
  if (is_open(userdata)) {
    int callbacks;
    LuaContext& context = check_context(L, callbacks);
    context.waits().abandon();  // what waits is collected, too
    guarded(L, [&] {
      const Entry entry(context, L, callbacks);
      context.context().destroy();
    });
    report_unsent(L, context, callbacks);
  }
  // A script that calls the finalizer itself, from within a callback, is still running on this context.
  if (userdata.context == nullptr || userdata.context->in_round()) return 0;
  delete userdata.context;
  userdata.context = nullptr;
  return 0;
}

int to_string(lua_State* L) {
  const ContextUserdata& userdata = check_userdata(L);
  lua_pushfstring(L, "context: %p (%s)", lua_topointer(L, 1), is_open(userdata) ? "open" : "destroyed");
  return 1;
}

constexpr luaL_Reg kMethods[] = {
    {"service", service},
    {"broadcast", broadcast},
    {"canonical_hostname", canonical_hostname},
    {"fork_service_loop", fork_service_loop},
    {"addresses", addresses},
    {"batch", batch},
    {"reload_certificates", reload_certificates},
    {"destroy", destroy},
    {nullptr, nullptr},
};

constexpr luaL_Reg kMetamethods[] = {
    {"__gc", collect},
    {"__close", destroy},
    {"__tostring", to_string},
    {nullptr, nullptr},
};

void fill_fixed_slots(lua_State* L, int userdata, int callbacks) {
  lua_pushvalue(L, userdata);
  lua_rawseti(L, callbacks, kContext);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, userdata);
  lua_rawseti(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawseti(L, callbacks, kWeakContext);
  push_trampoline(L);
  lua_rawseti(L, callbacks, kTrampoline);
  push_message_handler(L);
  lua_rawseti(L, callbacks, kMessageHandler);
  for (const int slot :
       {kOnHttp, kOnError, kOnAddFd, kOnDelFd, kInterruption, kWaits, kOnCluster, kWrap, kOnWorker, kOnWorkerExit}) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, callbacks, slot);
  }
}

void report_warnings(lua_State* L, LuaContext& context) {
  for (const std::string& warning : context.warnings) {
    push_caller_line(L);
    lua_pushfstring(L, "%swarning: %s", lua_tostring(L, 4), warning.c_str());
    lua_replace(L, 4);
    enter(L, context, 3, [&] { context.calls().report_warning(4); });
    lua_settop(L, 3);
  }
}

}  // namespace

LuaContext& check_context(lua_State* L, int& callbacks) {
  const ContextUserdata& userdata = check_userdata(L);
  if (userdata.context == nullptr || !userdata.context->is_open()) raise(L, "websocket context destroyed");
  luaL_checkstack(L, 12, "websocket");
  get_user_table(L, 1);
  callbacks = lua_gettop(L);
  return *userdata.context;
}

LuaContext* context_at(lua_State* L, int index) {
  const auto* const userdata = find_object<ContextUserdata>(L, index);
  return userdata == nullptr ? nullptr : userdata->context;
}

LuaContext* find_context(lua_State* L, int& callbacks) {
  lua_rawgeti(L, -1, 1);
  LuaContext* const context = context_at(L, -1);
  if (context == nullptr || !context->is_open()) return nullptr;
  get_user_table(L, -1);
  callbacks = lua_gettop(L);
  return context;
}

void push_context(lua_State* L, LuaContext& context) {
  push_shared_table(L);
  lua_rawgeti(L, -1, kContexts);
  lua_pushlightuserdata(L, &context);
  lua_rawget(L, -2);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

LuaContext& check_served_here(lua_State* L, int& callbacks) {
  LuaContext& context = check_context(L, callbacks);
  if (context.context().is_served_elsewhere()) raise(L, "websocket fork_service_loop was called already");
  return context;
}

void note_begin(lua_State* L, LuaContext& context, int callbacks) {
  if (context.is_announced_while_busy()) enter(L, context, callbacks, [] {});
}

const Subprotocol& check_protocol(lua_State* L, LuaContext& context, int index) {
  const std::span<const std::uint8_t> name = check_bytes(L, index);
  const Subprotocol* const protocol = context.context().hub().find(as_text(name));
  if (protocol == nullptr) raise(L, "websocket unknown protocol '%s'", push_excerpt(L, lua_tostring(L, index)));
  return *protocol;
}

int create_context(lua_State* L) {
  if (!lua_istable(L, 1)) {
    raise_at_caller(L, "bad argument #1 to 'context' (table expected, got %s)", luaL_typename(L, 1));
  }
  lua_settop(L, 1);
  luaL_checkstack(L, 16, "websocket");
  ContextUserdata& userdata = push_object<ContextUserdata>(L);
  SharedState& shared = shared_state(L);
  guarded(L, [&] { userdata.context = new LuaContext(shared); });
  LuaContext& context = *userdata.context;
  note_context(L, 2, context);

  lua_createtable(L, 8, 0);
  fill_fixed_slots(L, 2, 3);
  lua_pushvalue(L, 3);
  set_user_table(L, 2);
  read_context_options(L, 1, 3, context);

  ErrorCopy why;
  enter(L, context, 3, [&] { why = context.open(); });
  if (why) raise_create_error(L, why.text());
  report_warnings(L, context);
  lua_settop(L, 2);
  return 1;
}

void register_context(lua_State* L) {
  make_shared_state(L);
  push_metatable(L, ContextUserdata::kType);
  set_functions(L, kMetamethods);
  lua_newtable(L);
  set_functions(L, kMethods);
  set_functions(L, kOuterLoopMethods);
  set_functions(L, kContextTopicMethods);
  set_functions(L, kContextClusterMethods);
  set_functions(L, kContextWebsocketsMethods);
  set_functions(L, kContextTimerMethods);
  set_functions(L, kContextRunMethods);
  set_functions(L, kContextWorkerMethods);
  set_functions(L, kContextStatsMethods);
  set_functions(L, kContextClientMethods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

}  // namespace websockets::lua
