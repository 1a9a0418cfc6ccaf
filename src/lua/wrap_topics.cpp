// SPDX-License-Identifier: MIT
// The methods of contexts and websockets that have to do with topics.
#include "lua/wrap_topics.h"

#include <string>
#include <utility>
#include <vector>

#include "lua/check_bytes.h"
#include "lua/constants.h"
#include "lua/push.h"
#include "lua/push_delivery.h"
#include "lua/wrap_cluster.h"
#include "lua/wrap_context.h"
#include "lua/wrap_websocket.h"
#include "server/hub.h"

namespace websockets::lua {
namespace {

int push_closed(lua_State* L) {
  lua_pushnil(L);
  lua_pushliteral(L, "closed");
  return 2;
}

Opcode check_message_type(lua_State* L, int index) {
  const lua_Integer type = luaL_optinteger(L, index, kWriteText);
  luaL_argcheck(L, type == kWriteText || type == kWriteBinary, index, "WRITE_TEXT or WRITE_BINARY expected");
  return type == kWriteText ? Opcode::kText : Opcode::kBinary;
}

using Counts = std::vector<std::pair<std::string, std::size_t>>;
using Names = std::vector<std::string>;

int push_counts(lua_State* L) {
  const auto& counts = *static_cast<const Counts*>(lua_touserdata(L, 1));
  lua_newtable(L);
  for (const auto& count : counts) {
    push_text(L, count.first);
    lua_pushinteger(L, static_cast<lua_Integer>(count.second));
    lua_rawset(L, -3);
  }
  return 1;
}

int push_names(lua_State* L) {
  const auto& names = *static_cast<const Names*>(lua_touserdata(L, 1));
  lua_newtable(L);
  for (std::size_t i = 0; i < names.size(); ++i) {
    push_text(L, names[i]);
    lua_rawseti(L, -2, static_cast<int>(i + 1));
  }
  return 1;
}

// --- Of a context ---

int publish(lua_State* L) {
  lua_settop(L, 4);
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  const std::string_view topic = as_text(check_bytes(L, 2));
  const std::span<const std::uint8_t> data = check_bytes(L, 3);
  const Opcode opcode = check_message_type(L, 4);
  Hub::Published published{};
  enter(L, context, callbacks, [&] { published = context.hub().publish(topic, opcode, data); });
  return push_delivery(L, published.status, published.receivers);
}

int topics(lua_State* L) {
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  return push_copy(L, push_counts, [&] { return context.hub().topics().list(); });
}

// --- Of a websocket ---

int subscribe(lua_State* L) {
  lua_settop(L, 3);
  LuaWebsocket& ws = check_websocket(L);
  const std::string_view topic = as_text(check_bytes(L, 2));
  if (!lua_isnil(L, 3)) luaL_checktype(L, 3, LUA_TTABLE);
  if (!is_subscribable(ws)) return push_closed(L);
  if (lua_isnil(L, 3)) {
    guarded(L, [&] { context_of(ws).hub().subscribe(receiver_of(ws), topic); });
  } else if (!subscribe_by_options(L, ws)) {
    return push_closed(L);
  }
  lua_pushboolean(L, 1);
  return 1;
}

int unsubscribe(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const std::string_view topic = as_text(check_bytes(L, 2));
  if (!is_subscribable(ws)) return push_closed(L);
  lua_pushboolean(L, context_of(ws).hub().unsubscribe(receiver_of(ws), topic) ? 1 : 0);
  return 1;
}

int publish_to_others(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const std::string_view topic = as_text(check_bytes(L, 2));
  const std::span<const std::uint8_t> data = check_bytes(L, 3);
  const Opcode opcode = check_message_type(L, 4);
  if (!is_subscribable(ws)) return push_failure(L, "closed");
  Hub::Published published{};
  with_entry(L, ws, [&] { published = context_of(ws).hub().publish(topic, opcode, data, &receiver_of(ws)); });
  return push_delivery(L, published.status, published.receivers);
}

int topics_of_websocket(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  return push_copy(L, push_names, [&] {
    return is_subscribable(ws) ? context_of(ws).hub().topics().list_of(receiver_of(ws)) : Names();
  });
}

}  // namespace

const luaL_Reg kContextTopicMethods[] = {
    {"publish", publish},
    {"topics", topics},
    {nullptr, nullptr},
};

const luaL_Reg kWebsocketTopicMethods[] = {
    {"subscribe", subscribe},        {"unsubscribe", unsubscribe}, {"publish", publish_to_others},
    {"topics", topics_of_websocket}, {nullptr, nullptr},
};

}  // namespace websockets::lua
