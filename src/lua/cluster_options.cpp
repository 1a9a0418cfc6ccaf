// SPDX-License-Identifier: MIT
#include "lua/cluster_options.h"

#include <string>
#include <utility>

#include "base/bytes.h"
#include "cluster/redis_protocol.h"
#include "lua/callback_table.h"
#include "lua/check_bytes.h"
#include "lua/client_tls_options.h"
#include "lua/option_reader.h"
#include "lua/option_values.h"
#include "lua/push.h"

namespace websockets::lua {
namespace {

constexpr const char* kServerWanted = "a URL of Redis, or a table that has one as its 'url'";

void read_function(OptionReader& reader, const char* name, int callbacks, int slot) {
  if (!reader.get(name)) return;
  if (!lua_isfunction(reader.state(), -1)) reader.raise_value(name, "a function");
  lua_rawseti(reader.state(), callbacks, slot);
}

// The value is on top of the stack, and never shown: it may have a password.
void read_url(OptionReader& reader, const char* option, RedisUrl& url) {
  lua_State* const L = reader.state();
  if (lua_type(L, -1) != LUA_TSTRING) {
    if (lua_isnil(L, -1))
      reader.raise_text(lua_pushfstring(L, "option '%s' is nil, expected %s", option, kServerWanted));
    reader.raise_value(option, kServerWanted);
  }
  const std::string_view text = as_text(check_bytes(L, -1));
  ErrorCopy why;
  guarded(L, [&] {
    Result<RedisUrl> parsed = parse_redis_url(text);
    if (parsed) {
      url = std::move(*parsed);
    } else {
      why = parsed.error();
    }
  });
  if (why) reader.raise_text(lua_pushfstring(L, "option '%s': %s", option, why.text()));
}

// The value is on top of the stack, and taken.
void read_server(OptionReader& config, const char* option, ClusterOptions& cluster) {
  lua_State* const L = config.state();
  const int value = lua_gettop(L);
  guarded(L, [&] { cluster.servers.emplace_back(); });
  ClusterOptions::Server& server = cluster.servers.back();
  if (!lua_istable(L, value)) {
    read_url(config, option, server.url);
    return lua_pop(L, 1);
  }
  OptionReader reader(L, value, config.raise_error(), lua_pushfstring(L, "%s.", option));
  const char* const of_url = lua_pushfstring(L, "%s.url", option);
  if (!reader.get("url")) lua_pushnil(L);
  read_url(config, of_url, server.url);
  read_client_tls(reader, server.tls);
  reader.refuse_unknown();
  check_client_tls(reader, server.tls);
  lua_settop(L, value - 1);
}

void read_servers(OptionReader& reader, ClusterOptions& cluster) {
  lua_State* const L = reader.state();
  const int value = lua_gettop(L);
  if (lua_istable(L, value)) lua_rawgeti(L, value, 1);
  if (!lua_istable(L, value) || lua_isnil(L, -1)) {
    lua_settop(L, value);
    return read_server(reader, "cluster", cluster);
  }
  lua_settop(L, value);
  reader.refuse_names("cluster", "a list of URLs and tables");
  for (int i = 1;; ++i) {
    const char* const option = lua_pushfstring(L, "cluster[%d]", i);
    lua_rawgeti(L, value, i);
    if (lua_isnil(L, -1)) break;
    read_server(reader, option, cluster);
    lua_settop(L, value);
  }
  lua_settop(L, value - 1);
}

// Raises the name of an option that is there, but of no use without a cluster.
void refuse_without_cluster(OptionReader& reader) {
  lua_State* const L = reader.state();
  for (const char* name : {"cluster_prefix", "cluster_queue", "history"}) {
    if (reader.get(name)) reader.raise_text(lua_pushfstring(L, "option '%s' needs 'cluster'", name));
  }
}

void read_history(OptionReader& config, int callbacks, HistoryOptions& history) {
  lua_State* const L = config.state();
  if (!config.get("history")) return;
  const int table = lua_gettop(L);
  if (!lua_istable(L, table)) config.raise_value("history", "a table");
  OptionReader reader(L, table, config.raise_error(), "history.");
  const bool has_topics =
      reader.read_texts("topics", "a list of strings, which names of topics begin with", [&](const char* text) {
        history.prefixes.emplace_back(text);
        return true;
      });
  reader.read_whole("size", 1, 1e6, "a whole number from 1 to 1e6", history.size);
  read_seconds(reader, "ttl", history.ttl_ms);
  read_function(reader, "wrap", callbacks, kWrap);
  reader.refuse_unknown();
  if (!has_topics || history.prefixes.empty()) reader.raise_text("option 'history' needs 'topics'");
  lua_settop(L, table - 1);
}

}  // namespace

void read_cluster(OptionReader& reader, int callbacks, std::optional<ClusterOptions>& cluster) {
  lua_State* const L = reader.state();
  if (!reader.get("cluster")) return refuse_without_cluster(reader);
  if (!has_redis_protocol()) reader.raise_text("option 'cluster' needs a build of websockets with hiredis");
  guarded(L, [&] { cluster.emplace(); });
  read_servers(reader, *cluster);
  reader.read_text("cluster_prefix", cluster->prefix);
  if (cluster->prefix.empty()) reader.raise_text("option 'cluster_prefix' is empty");
  read_bytes(reader, "cluster_queue", cluster->max_queued_bytes);
  read_history(reader, callbacks, cluster->history);
}

}  // namespace websockets::lua
