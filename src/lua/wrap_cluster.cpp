// SPDX-License-Identifier: MIT
// What a cluster adds to topics: context:presence, context:count, and the options of ws:subscribe.
#include "lua/wrap_cluster.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lua/caller_line.h"
#include "lua/check_bytes.h"
#include "lua/lua_cluster.h"
#include "lua/lua_context.h"
#include "lua/option_reader.h"
#include "lua/pinned_function.h"
#include "lua/push.h"
#include "lua/wrap_context.h"
#include "lua/wrap_websocket.h"
#include "server/hub.h"

namespace websockets::lua {
namespace {

using Function = std::shared_ptr<const PinnedFunction>;

[[noreturn]] void raise_subscribe_error(lua_State* L, const char* why) {
  raise_at_caller(L, "websocket could not subscribe: %s", why);
}

// --- Asking who is there ---

LuaContext& check_cluster(lua_State* L, int& callbacks) {
  lua_settop(L, 3);
  LuaContext& context = check_served_here(L, callbacks);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  if (context.cluster() == nullptr) luaL_error(L, "websocket context has no option 'cluster'");
  return context;
}

int presence(lua_State* L) {
  int callbacks;
  LuaContext& context = check_cluster(L, callbacks);
  const std::string_view topic = as_text(check_bytes(L, 2));
  const int slot = context.callback_table().pin_payload(L, callbacks, 3);
  enter(L, context, callbacks, [&] {
    const Function function = PinnedFunction::own(context.callback_table(), slot);
    LuaCalls& calls = context.calls();
    context.cluster()->backplane().presence(topic).members(
        topic, [&calls, function](const std::vector<std::string>* members, const Error& why) {
          calls.run(nullptr, [&](lua_State* inner) {
            lua_rawgeti(inner, LuaCalls::kCallbacks, function->slot());
            if (members == nullptr) return lua_call(inner, push_error(inner, why), 0);
            lua_createtable(inner, static_cast<int>(members->size()), 0);
            for (std::size_t i = 0; i < members->size(); ++i) {
              push_text(inner, (*members)[i]);
              lua_rawseti(inner, -2, static_cast<int>(i + 1));
            }
            lua_call(inner, 1, 0);
          });
        });
  });
  return 0;
}

int count(lua_State* L) {
  int callbacks;
  LuaContext& context = check_cluster(L, callbacks);
  const std::string_view topic = as_text(check_bytes(L, 2));
  const int slot = context.callback_table().pin_payload(L, callbacks, 3);
  enter(L, context, callbacks, [&] {
    const Function function = PinnedFunction::own(context.callback_table(), slot);
    LuaCalls& calls = context.calls();
    context.cluster()->backplane().presence(topic).count(
        topic, [&calls, function](const std::uint64_t* subscriptions, const Error& why) {
          calls.run(nullptr, [&](lua_State* inner) {
            lua_rawgeti(inner, LuaCalls::kCallbacks, function->slot());
            if (subscriptions == nullptr) return lua_call(inner, push_error(inner, why), 0);
            lua_pushinteger(inner, static_cast<lua_Integer>(*subscriptions));
            lua_call(inner, 1, 0);
          });
        });
  });
  return 0;
}

// --- The options of a subscription ---

struct SubscribeOptions {
  std::string_view presence;
  std::string_view since;
  bool has_presence = false;
  bool has_since = false;
  int on_ready = kNoSlot;
};

// Leaves the value, to which it refers, on the stack.
bool read_bytes(OptionReader& reader, const char* name, std::string_view& text) {
  if (!reader.get(name)) return false;
  if (lua_isstring(reader.state(), -1) == 0) reader.raise_value(name, "a string");
  text = as_text(check_bytes(reader.state(), -1));
  return true;
}

// May raise, and then nothing was pinned.
SubscribeOptions read_options(lua_State* L, LuaContext& context, std::string_view topic, int callbacks) {
  SubscribeOptions options;
  OptionReader reader(L, 3, raise_subscribe_error);
  options.has_presence = read_bytes(reader, "presence", options.presence);
  options.has_since = read_bytes(reader, "since", options.since);
  const bool has_on_ready = reader.get("on_ready");
  if (has_on_ready && !lua_isfunction(L, -1)) reader.raise_value("on_ready", "a function");
  reader.refuse_unknown();
  LuaCluster* const cluster = context.cluster();
  if (options.has_presence && cluster == nullptr) reader.raise_text("option 'presence' is for a cluster");
  if ((options.has_since || has_on_ready) && (cluster == nullptr || !cluster->backplane().has_history(topic))) {
    reader.raise_text("options 'since' and 'on_ready' are for a topic with a history");
  }
  if (has_on_ready) options.on_ready = context.callback_table().pin_payload(L, callbacks, lua_gettop(L));
  return options;
}

void call_on_ready(LuaContext& context, const LuaWebsocket& ws, const PinnedFunction& function, bool recovered,
                   const std::string& position, const char* why) {
  if (is_closed(ws)) return;
  void* const* const whose = ws.is_client ? &ws.client->engine->user() : &ws.connection->user;
  context.calls().run(whose, [&](lua_State* L) {
    lua_rawgeti(L, LuaCalls::kCallbacks, function.slot());
    lua_rawgeti(L, LuaCalls::kCallbacks, ws.self);
    lua_pushboolean(L, recovered ? 1 : 0);
    push_text(L, position);
    if (why != nullptr) lua_pushstring(L, why);
    lua_call(L, why == nullptr ? 3 : 4, 0);
  });
}

}  // namespace

bool subscribe_by_options(lua_State* L, LuaWebsocket& ws) {
  LuaContext& context = context_of(ws);
  const std::string_view topic = as_text(check_bytes(L, 2));
  const int callbacks = push_callbacks(L);  // keeps the context, too
  const SubscribeOptions options = read_options(L, context, topic, callbacks);
  // Metamethods of the options, or finalizers, may have closed it.
  bool was_open = false;
  enter(L, context, callbacks, [&] {
    Function on_ready;
    if (options.on_ready != kNoSlot) on_ready = PinnedFunction::own(context.callback_table(), options.on_ready);
    was_open = is_subscribable(ws);
    if (!was_open) return;
    Receiver& receiver = receiver_of(ws);
    context.hub().subscribe(receiver, topic);
    if (context.cluster() == nullptr) return;
    RedisBackplane& backplane = context.cluster()->backplane();
    if (options.has_presence) backplane.presence(topic).enter(receiver, topic, options.presence);
    if (!options.has_since && on_ready == nullptr) return;
    backplane.recover(receiver, topic, options.has_since ? std::optional(options.since) : std::nullopt,
                      [&context, &ws, on_ready](bool recovered, const std::string& position, const char* why) {
                        if (on_ready) call_on_ready(context, ws, *on_ready, recovered, position, why);
                      });
  });
  return was_open;
}

const luaL_Reg kContextClusterMethods[] = {{"presence", presence}, {"count", count}, {nullptr, nullptr}};

}  // namespace websockets::lua
