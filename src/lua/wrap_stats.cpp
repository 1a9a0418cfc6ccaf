// SPDX-License-Identifier: MIT
// context:stats and context:metrics.
#include "lua/wrap_stats.h"

#include <string>
#include <string_view>
#include <vector>

#include "cluster/cluster_stats.h"
#include "lua/lua_cluster.h"
#include "lua/lua_context.h"
#include "lua/lua_workers.h"
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

void push_report(lua_State* L, const StatsReport& report) {
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
}

// Of a context; with workers that of all, and of each.
struct FullReport {
  StatsReport total;
  std::vector<StatsReport> workers;
  std::vector<pid_t> pids;
  std::vector<ClusterServerStats> cluster;  // of this process
};

FullReport report_of(LuaContext& context) {
  FullReport report;
  if (context.cluster() != nullptr) report.cluster = context.cluster()->backplane().stats();
  LuaWorkers* const workers = context.find_workers();
  if (workers == nullptr || !workers->are_running()) {
    report.total = context.report();
    return report;
  }
  const WorkerStatus& status = workers->status();
  report.total = status.total();
  for (std::size_t i = 0; i < status.count(); ++i) {
    report.workers.push_back(status.report(i));
    report.pids.push_back(status.pid(i));
  }
  return report;
}

void set_cluster(lua_State* L, const std::vector<ClusterServerStats>& servers) {
  lua_createtable(L, static_cast<int>(servers.size()), 0);
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const ClusterServerStats& server = servers[i];
    lua_newtable(L);
    set_text(L, "server", server.server);
    lua_pushboolean(L, server.is_up ? 1 : 0);
    lua_setfield(L, -2, "up");
    set_count(L, "queued_bytes", server.queued_bytes);
    set_count(L, "commands", server.commands);
    set_count(L, "messages", server.messages);
    set_count(L, "dropped", server.dropped);
    set_count(L, "reconnects", server.reconnects);
    set_count(L, "gaps", server.gaps);
    lua_pushnumber(L, static_cast<lua_Number>(server.probe_seconds));
    lua_setfield(L, -2, "probe_seconds");
    lua_rawseti(L, -2, static_cast<int>(i + 1));
  }
  lua_setfield(L, -2, "cluster");
}

int push_stats(lua_State* L) {
  const auto& report = *static_cast<const FullReport*>(lua_touserdata(L, 1));
  push_report(L, report.total);
  if (!report.cluster.empty()) set_cluster(L, report.cluster);
  if (report.workers.empty()) return 1;
  lua_createtable(L, static_cast<int>(report.workers.size()), 0);
  for (std::size_t i = 0; i < report.workers.size(); ++i) {
    push_report(L, report.workers[i]);
    if (report.pids[i] != 0) set_count(L, "pid", static_cast<std::uint64_t>(report.pids[i]));
    lua_rawseti(L, -2, static_cast<int>(i + 1));
  }
  lua_setfield(L, -2, "workers");
  return 1;
}

int push_metrics(lua_State* L) {
  push_text(L, *static_cast<const std::string*>(lua_touserdata(L, 1)));
  return 1;
}

int stats(lua_State* L) {
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  return push_copy(L, push_stats, [&] { return report_of(context); });
}

int metrics(lua_State* L) {
  int callbacks;
  LuaContext& context = check_served_here(L, callbacks);
  return push_copy(L, push_metrics, [&] {
    const FullReport report = report_of(context);
    std::string text = metrics_text(report.total, report.workers);
    if (!report.cluster.empty()) text += cluster_metrics_text(report.cluster);
    return text;
  });
}

}  // namespace

const luaL_Reg kContextStatsMethods[] = {{"stats", stats}, {"metrics", metrics}, {nullptr, nullptr}};

}  // namespace websockets::lua
