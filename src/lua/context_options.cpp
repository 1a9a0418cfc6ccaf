// SPDX-License-Identifier: MIT
// What stands in the table given to websockets.context().
#include "lua/context_options.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/http_text.h"
#include "cluster/listener_handover.h"
#include "http/origin.h"
#include "lua/caller_line.h"
#include "lua/cluster_options.h"
#include "lua/compression_options.h"
#include "lua/constants.h"
#include "lua/guarded.h"
#include "lua/lua_context.h"
#include "lua/option_reader.h"
#include "lua/option_values.h"
#include "lua/other_names.h"
#include "lua/push.h"
#include "lua/worker_options.h"
#include "server/options.h"
#include "websocket/handshake.h"

namespace websockets::lua {
namespace {

constexpr double kMaxRate = 1e6;

// Returns whether there is one.
bool read_function(OptionReader& reader, const char* name, int callbacks, int slot) {
  if (!reader.get(name)) return false;
  if (!lua_isfunction(reader.state(), -1)) reader.raise_value(name, "a function");
  lua_rawseti(reader.state(), callbacks, slot);
  return true;
}

void read_protocols(OptionReader& reader, int callbacks, ContextOptions& options) {
  lua_State* const L = reader.state();
  reader.read_text("default_protocol", options.default_protocol);
  if (!reader.get("protocols")) return;
  if (!lua_istable(L, -1)) reader.raise_value("protocols", "a table of functions");
  const int protocols = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, protocols) != 0;) {
    lua_pushvalue(L, -2);
    if (lua_type(L, -1) != LUA_TSTRING) reader.raise_value("protocols", "names as its keys");
    std::size_t size;
    const char* name = lua_tolstring(L, -1, &size);
    if (!is_token({name, size})) reader.raise_value("protocols", "names that are tokens (RFC 7230 3.2.6)");
    lua_insert(L, -2);
    if (!lua_isfunction(L, -1)) {
      const char* option = lua_pushfstring(L, "protocols.%s", name);
      lua_pushvalue(L, -2);
      reader.raise_value(option, "a function");
    }
    lua_rawseti(L, callbacks, kFirstProtocol + static_cast<int>(options.protocols.size()));
    guarded(L, [&] { options.protocols.emplace_back(name, size); });
    lua_pop(L, 1);
  }
  if (options.protocols.empty()) raise_create_error(L, "option 'protocols' is empty");
  lua_pop(L, 1);
}

// What listens on nothing never has to choose one.
void check_protocols(OptionReader& reader, const ContextOptions& options) {
  const bool listens = options.port != 0 || !options.listen.empty();
  if (options.protocols.empty() && listens) {
    lua_pushnil(reader.state());
    reader.raise_value("protocols", "a table of functions");
  }
  if (options.default_protocol.empty()) return;
  for (const std::string& name : options.protocols) {
    if (name == options.default_protocol) return;
  }
  reader.get("default_protocol");
  reader.raise_value("default_protocol", "one of the protocols");
}

void read_listener(OptionReader& reader, ContextOptions& options) {
  reader.read_whole("port", 0, 65535, "a port number from 1 to 65535", options.port);
  reader.read_text("interf", options.interface);
  reader.read_boolean("reuse_port", options.listen_options.reuse_port);
  reader.read_whole("unix_mode", 0, 0777, "a file mode from 0 to 511 (octal 777)", options.listen_options.unix_mode);
  reader.read_texts("listen", "a list of strings: 'host:port', ':port', 'unix:/path' or 'fd:3'", [&](const char* text) {
    options.listen.emplace_back(text);
    return true;
  });
}

// What of `listen` is for one interface says so itself.
void warn_of_interface(lua_State* L, LuaContext& context) {
  const ContextOptions& options = *context.options;
  if (options.interface.empty() || options.port != 0 || options.listen.empty()) return;
  guarded(L, [&] { context.warnings.emplace_back("option 'interf' is for 'port', which is not set"); });
}

void read_certificate(OptionReader& reader, CertificateFiles& files) {
  reader.read_text("ssl_cert_filepath", files.certificate);
  reader.read_text("ssl_cert_path", files.certificate);
  reader.read_text("ssl_private_key_filepath", files.private_key);
  reader.read_text("ssl_private_key_path", files.private_key);
}

void check_certificate(lua_State* L, const CertificateFiles& files) {
  if (files.certificate.empty() != files.private_key.empty()) {
    raise_create_error(L, "ssl_cert_path and ssl_private_key_path need each other");
  }
}

// The name is below the table, which is on top of the stack.
void read_named_certificate(OptionReader& names, TlsOptions& tls) {
  lua_State* const L = names.state();
  const int table = lua_gettop(L);
  if (lua_type(L, table - 1) != LUA_TSTRING) raise_create_error(L, "the keys of option 'ssl_names' are not all names");
  const char* name = lua_tostring(L, table - 1);
  if (!lua_istable(L, table)) {
    const char* option = lua_pushfstring(L, "ssl_names.%s", name);
    lua_pushvalue(L, table);
    names.raise_value(option, "a table");
  }
  for (const auto& [other, files] : tls.names) {
    if (!http_text::equals_ignoring_case(other, name)) continue;
    raise_create_error(L, lua_pushfstring(L, "ssl_names has '%s' twice", push_excerpt(L, name)));
  }
  guarded(L, [&] { tls.names.emplace_back(name, CertificateFiles()); });
  OptionReader reader(L, table, raise_create_error, lua_pushfstring(L, "ssl_names.%s.", name));
  read_certificate(reader, tls.names.back().second);
  reader.refuse_unknown();
  check_certificate(L, tls.names.back().second);
  if (tls.names.back().second.certificate.empty()) raise_create_error(L, "a name in ssl_names has no ssl_cert_path");
}

void read_tls(OptionReader& reader, TlsOptions& tls) {
  lua_State* const L = reader.state();
  read_certificate(reader, tls.files);
  reader.read_text("ssl_ca_filepath", tls.ca);
  reader.read_text("ssl_ca_path", tls.ca);
  if (!reader.get("ssl_names")) return;
  if (!lua_istable(L, -1)) reader.raise_value("ssl_names", "a table of tables");
  const int names = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, names) != 0; lua_settop(L, names + 1)) read_named_certificate(reader, tls);
  lua_pop(L, 1);
}

void check_tls(lua_State* L, const TlsOptions& tls) {
  check_certificate(L, tls.files);
  if (!tls.ca.empty() && !tls.enabled()) {
    raise_create_error(L, "ssl_ca_path needs ssl_cert_path and ssl_private_key_path");
  }
  if (!tls.names.empty() && !tls.enabled()) {
    raise_create_error(L, "ssl_names needs ssl_cert_path and ssl_private_key_path");
  }
  if (tls.requires_client_certificate && (!tls.enabled() || tls.ca.empty())) {
    raise_create_error(L, "to require client certificates takes ssl_cert_path, ssl_private_key_path and ssl_ca_path");
  }
}

void read_privileges(OptionReader& reader, ContextOptions& options) {
  constexpr double kMaxId = 4294967294.0;  // (uid_t) -1 means something else
  reader.read_whole("uid", 0, kMaxId, "a user's number", options.uid);
  reader.read_whole("gid", 0, kMaxId, "a group's number", options.gid);
}

void read_trust(OptionReader& reader, ContextOptions& options) {
  options.checks_origins = reader.read_texts(
      "origins",
      "a list of origins: '*', 'null', 'https://example.org', 'https://*.example.org', 'file://' or '=any text'",
      [&](const char* text) {
        options.origins.emplace_back(text);
        return is_origin_pattern(text);
      });
  reader.read_texts("trusted_proxies", "a list of addresses and networks: '10.0.0.0/8', '::1' or 'unix'",
                    [&](const char* text) { return options.trusted_proxies.add(text); });
  reader.read_boolean("proxy_protocol", options.expects_proxy_header);
}

void check_trust(lua_State* L, const ContextOptions& options) {
  if (options.expects_proxy_header && options.trusted_proxies.empty()) {
    raise_create_error(L, "proxy_protocol needs trusted_proxies");
  }
}

// { messages per second, messages at once }, or one number for both.
void read_message_rate(OptionReader& config, MessageRate& rate) {
  lua_State* const L = config.state();
  if (!config.get("max_message_rate")) return;
  const int value = lua_gettop(L);
  const bool is_table = lua_istable(L, value);
  bool is_possible = true;
  if (is_table) {
    for (lua_pushnil(L); lua_next(L, value) != 0; lua_pop(L, 1)) {
      const bool is_place = lua_type(L, -2) == LUA_TNUMBER && (lua_tonumber(L, -2) == 1 || lua_tonumber(L, -2) == 2);
      is_possible = is_possible && is_place;
    }
    lua_rawgeti(L, value, 1);
    lua_rawgeti(L, value, 2);
  } else {
    lua_pushvalue(L, value);
    lua_pushvalue(L, value);
  }
  const auto per_second = static_cast<double>(lua_tonumber(L, value + 1));
  const auto burst = is_table && lua_isnil(L, value + 2) ? per_second : static_cast<double>(lua_tonumber(L, value + 2));
  lua_settop(L, value);
  for (const double number : {per_second, burst}) is_possible = is_possible && number > 0 && number <= kMaxRate;
  if (!is_possible) {
    config.raise_value("max_message_rate",
                       "{ 5, 20 }: messages per second, messages at once, each from above 0 to 1e6; or one for both");
  }
  rate = {per_second, std::max(burst, 1.0)};
  lua_pop(L, 1);
}

void read_limits(OptionReader& reader, ContextOptions& options) {
  read_bytes(reader, "max_message_size", options.rules.max_message_bytes);
  read_bytes(reader, "max_backpressure", options.max_backpressure_bytes);
  reader.read_choice("backpressure_policy", "close", "drop", options.drops_when_full);
  read_bytes(reader, "max_header_size", options.request_limits.max_header_bytes);
  read_bytes(reader, "max_body_size", options.request_limits.max_body_bytes);
  read_bytes(reader, "max_body_memory", options.max_body_memory_bytes);
  read_seconds(reader, "handshake_timeout", options.handshake_timeout_ms);
  read_seconds(reader, "body_timeout", options.body_timeout_ms);
  read_seconds(reader, "keepalive_timeout", options.keepalive_timeout_ms);
  read_seconds(reader, "answer_timeout", options.answer_timeout_ms);
  read_seconds(reader, "upgrade_timeout", options.upgrade_timeout_ms);
  read_seconds(reader, "send_timeout", options.send_timeout_ms);
  read_seconds(reader, "close_timeout", options.close_timeout_ms);
  read_seconds(reader, "fork_busy_timeout", options.fork_busy_timeout_ms);
  reader.read_whole("max_headers", 1, kMaxCount, "a number above 0, up to 1e9", options.request_limits.max_headers);
  read_optional_seconds(reader, "idle_timeout", options.keepalive.idle_timeout_ms);
  read_optional_seconds(reader, "ping_interval", options.keepalive.ping_interval_ms);
  reader.read_whole("max_memory", 0, kMaxBytes, "a number of bytes up to 2^53, 0 for any number",
                    options.max_memory_bytes);
  read_message_rate(reader, options.max_message_rate);
  read_count(reader, "max_connections", options.max_connections);
  read_count(reader, "max_connections_per_ip", options.max_connections_per_address);
}

// What the classic API sums up in one number.
void read_mask(OptionReader& reader, LuaContext& context) {
  int mask = 0;
  reader.read_whole("options", 0, 255, "a sum of SERVER_OPTION constants", mask);
  context.options->tls.requires_client_certificate = (mask & kServerOptionRequireValidOpensslClientCert) != 0;
  context.skips_canonical_name = (mask & kServerOptionSkipServerCanonicalName) != 0;
}

}  // namespace

void raise_create_error(lua_State* L, const char* why) {
  raise_at_caller(L, "websocket could not create context: %s", why);
}

void read_context_options(lua_State* L, int config, int callbacks, LuaContext& context) {
  ContextOptions& options = *context.options;
  OptionReader reader(L, config, raise_create_error);
  read_tls(reader, options.tls);
  read_privileges(reader, options);
  read_listener(reader, options);
  read_protocols(reader, callbacks, options);
  read_function(reader, "on_http", callbacks, kOnHttp);
  options.asks_before_upgrade = read_function(reader, "on_upgrade", callbacks, kOnUpgrade);
  reader.read_boolean("keep_request", context.upgrades().keeps_requests);
  options.reports_refusals = read_function(reader, "on_refused", callbacks, kOnRefused);
  read_function(reader, "on_error", callbacks, kOnError);
  read_function(reader, "on_cluster", callbacks, kOnCluster);
  read_cluster(reader, callbacks, context.cluster_options);
  read_workers(reader, options.workers);
  read_function(reader, "on_del_fd", callbacks, kOnDelFd);
  options.announces_descriptors = read_function(reader, "on_add_fd", callbacks, kOnAddFd);
  reader.read_boolean("one_fd", options.announces_one);

  read_compression(reader, Role::kServer, options.compression);
  reader.read_boolean("utf8_check", options.rules.check_utf8);
  read_limits(reader, options);
  read_trust(reader, options);
  read_mask(reader, context);
  reader.refuse_meant(find_option, [&](const char* key) {
    context.warnings.push_back(std::string("option '").append(key).append("' is unknown"));
  });
  // What depends on several options: one that is missing may be one that was misspelt.
  check_tls(L, options.tls);
  check_protocols(reader, options);
  check_trust(L, options);
  warn_of_interface(L, context);

  options.listen_options.source = ListenerHandover::of_process();
  const char* driver = std::getenv("WEBSOCKETS_DRIVER");
  if (driver != nullptr) guarded(L, [&] { options.driver = driver; });
  lua_settop(L, callbacks);
}

}  // namespace websockets::lua
