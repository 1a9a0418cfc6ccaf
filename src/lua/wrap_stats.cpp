// SPDX-License-Identifier: MIT
// context:stats and context:metrics.
#include "lua/wrap_stats.h"

#include <string>
#include <string_view>

#include "lua/lua_context.h"
#include "lua/push.h"
#include "lua/wrap_context.h"
#include "server/stats.h"

namespace websockets::lua {
namespace {

// In Lua before 5.3 a number is exact up to 2^53.
void push_count(lua_State* L, std::uint64_t count) {
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, static_cast<lua_Integer>(count));
#else
  lua_pushnumber(L, static_cast<lua_Number>(count));
#endif
}

void set_count(lua_State* L, std::string_view name, std::uint64_t count) {
  push_text(L, name);
  push_count(L, count);
  lua_rawset(L, -3);
}

void set_protocols(lua_State* L, const StatsReport& report) {
  lua_newtable(L);
  for (const auto& protocol : report.protocols) {
    push_text(L, protocol.name);
    lua_createtable(L, 0, 2);
    set_count(L, "open", protocol.open);
    set_count(L, "opened", protocol.opened);
    lua_rawset(L, -3);
  }
  lua_setfield(L, -2, "protocols");
}

void set_refused(lua_State* L, const Stats& counted) {
  lua_newtable(L);
  for (std::size_t i = 0; i < kRefusalNames.size(); ++i) set_count(L, kRefusalNames[i], counted.refused[i]);
  lua_setfield(L, -2, "refused");
}

void set_closed(lua_State* L, const Stats& counted) {
  lua_newtable(L);
  for (std::size_t i = 0; i < Stats::kCodes; ++i) {
    push_count(L, counted.closed[i]);
    lua_rawseti(L, -2, static_cast<int>(Stats::kFirstCode + i));
  }
  set_count(L, "other", counted.closed[Stats::kCodes]);
  lua_setfield(L, -2, "closed");
}

int push_stats(lua_State* L) {
  const auto& report = *static_cast<const StatsReport*>(lua_touserdata(L, 1));
  const Stats& counted = report.counted;
  lua_newtable(L);
  set_count(L, "open_connections", report.connections);
  set_count(L, "connections", counted.connections);
  set_count(L, "http_requests", counted.http_requests);
  set_count(L, "messages_received", counted.messages_received);
  set_count(L, "messages_sent", counted.messages_sent);
  set_count(L, "received_bytes", report.moved.bytes_received);
  set_count(L, "sent_bytes", report.moved.bytes_sent);
  set_count(L, "queued_bytes", report.queued_bytes);
  set_count(L, "queue_full", counted.queue_full);
  set_count(L, "topics", report.topics);
  set_count(L, "subscriptions", report.subscriptions);
  set_protocols(L, report);
  set_refused(L, counted);
  set_closed(L, counted);
  return 1;
}

int push_metrics(lua_State* L) {
  push_text(L, *static_cast<const std::string*>(lua_touserdata(L, 1)));
  return 1;
}

int stats(lua_State* L) {
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  return push_copy(L, push_stats, [&] { return context.report(); });
}

int metrics(lua_State* L) {
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  return push_copy(L, push_metrics, [&] { return metrics_text(context.report()); });
}

}  // namespace

const luaL_Reg kContextStatsMethods[] = {{"stats", stats}, {"metrics", metrics}, {nullptr, nullptr}};

}  // namespace websockets::lua
