// SPDX-License-Identifier: MIT
// What stands in the table given to websockets.context().
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "http/origin.h"
#include "lua/constants.h"
#include "lua/lua_context.h"
#include "lua/show_value.h"
#include "protocol/handshake.h"
#include "protocol/http_text.h"

namespace websockets::lua {
namespace {

constexpr double kMaxBytes = 9007199254740992.0;  // 2^53: exact in every Lua's numbers
constexpr double kMaxSeconds = 1e9;
constexpr double kMaxSilenceSeconds = 1e6;  // in milliseconds this has to fit into 31 bits
constexpr double kMaxCount = 1e9;

[[noreturn]] void raise_option_error(lua_State* L, const char* name, const char* expected) {
  const char* value = show_value(L);
  raise_create_error(L, lua_pushfstring(L, "option '%s' is %s, expected %s", name, value, expected));
}

// Pushes a field; false, and nothing pushed, when it is nil.
bool get(lua_State* L, int config, const char* name) {
  lua_getfield(L, config, name);
  if (!lua_isnil(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

// A whole number from `least` to `most`; strings that are numbers count.
double take_integer(lua_State* L, const char* name, double least, double most, const char* expected) {
  const double value = lua_isnumber(L, -1) != 0 ? static_cast<double>(lua_tonumber(L, -1)) : std::nan("");
  if (!(value >= least && value <= most && value == std::floor(value))) raise_option_error(L, name, expected);
  lua_pop(L, 1);
  return value;
}

void read_seconds(lua_State* L, int config, const char* name, std::uint64_t& milliseconds) {
  if (!get(L, config, name)) return;
  const double value = lua_type(L, -1) == LUA_TNUMBER ? static_cast<double>(lua_tonumber(L, -1)) : std::nan("");
  if (!(value > 0 && value <= kMaxSeconds)) raise_option_error(L, name, "a number of seconds above 0");
  milliseconds = static_cast<std::uint64_t>(std::ceil(value * 1000));
  lua_pop(L, 1);
}

// 0 is off.
void read_optional_seconds(lua_State* L, int config, const char* name, std::uint64_t& milliseconds) {
  if (!get(L, config, name)) return;
  const double value = lua_type(L, -1) == LUA_TNUMBER ? static_cast<double>(lua_tonumber(L, -1)) : std::nan("");
  if (!(value >= 0 && value <= kMaxSilenceSeconds)) raise_option_error(L, name, "0, or a number of seconds up to 1e6");
  milliseconds = static_cast<std::uint64_t>(std::ceil(value * 1000));
  lua_pop(L, 1);
}

// 0 is off.
void read_count(lua_State* L, int config, const char* name, std::size_t& count) {
  if (get(L, config, name)) {
    count = static_cast<std::size_t>(take_integer(L, name, 0, kMaxCount, "a whole number, 0 for any number"));
  }
}

template <typename Size>
void read_bytes(lua_State* L, int config, const char* name, Size& bytes) {
  if (get(L, config, name)) {
    bytes = static_cast<Size>(take_integer(L, name, 1, kMaxBytes, "a number of bytes above 0"));
  }
}

bool read_boolean(lua_State* L, int config, const char* name, bool otherwise) {
  if (!get(L, config, name)) return otherwise;
  if (!lua_isboolean(L, -1)) raise_option_error(L, name, "true or false");
  const bool value = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return value;
}

// Which of the two it is; the first one when it is nil.
int read_choice(lua_State* L, int config, const char* name, const char* first, const char* second) {
  if (!get(L, config, name)) return 0;
  const char* text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  const bool is_second = std::strcmp(text, second) == 0;
  if (!is_second && std::strcmp(text, first) != 0) {
    const char* expected = lua_pushfstring(L, "'%s' or '%s'", first, second);
    lua_insert(L, -2);
    raise_option_error(L, name, expected);
  }
  lua_pop(L, 1);
  return is_second ? 1 : 0;
}

// Whether a string is on top of the stack that the system, to which a zero ends it, sees as a whole.
bool is_text(lua_State* L) {
  if (lua_type(L, -1) != LUA_TSTRING) return false;
  std::size_t size;
  const char* text = lua_tolstring(L, -1, &size);
  return std::strlen(text) == size;
}

void read_string(lua_State* L, int config, const char* name, std::string& text) {
  if (!get(L, config, name)) return;
  if (!is_text(L)) raise_option_error(L, name, "a string without zeros");
  guarded(L, [&] { text = lua_tostring(L, -1); });
  lua_pop(L, 1);
}

// Returns whether there is one.
bool read_function(lua_State* L, int config, const char* name, int callbacks, int slot) {
  if (!get(L, config, name)) return false;
  if (!lua_isfunction(L, -1)) raise_option_error(L, name, "a function");
  lua_rawseti(L, callbacks, slot);
  return true;
}

void read_protocols(lua_State* L, int config, int callbacks, ContextOptions& options) {
  lua_getfield(L, config, "protocols");
  if (!lua_istable(L, -1)) raise_option_error(L, "protocols", "a table of functions");
  const int protocols = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, protocols) != 0;) {
    lua_pushvalue(L, -2);
    if (lua_type(L, -1) != LUA_TSTRING) raise_option_error(L, "protocols", "names as its keys");
    std::size_t size;
    const char* name = lua_tolstring(L, -1, &size);
    if (!is_token({name, size})) raise_option_error(L, "protocols", "names that are tokens (RFC 7230 3.2.6)");
    lua_insert(L, -2);
    if (!lua_isfunction(L, -1)) {
      const char* option = lua_pushfstring(L, "protocols.%s", name);
      lua_pushvalue(L, -2);
      raise_option_error(L, option, "a function");
    }
    lua_rawseti(L, callbacks, LuaContext::kFirstProtocol + static_cast<int>(options.protocols.size()));
    guarded(L, [&] { options.protocols.emplace_back(name, size); });
    lua_pop(L, 1);
  }
  if (options.protocols.empty()) raise_create_error(L, "option 'protocols' is empty");
  lua_pop(L, 1);

  read_string(L, config, "default_protocol", options.default_protocol);
  if (options.default_protocol.empty()) return;
  for (const std::string& name : options.protocols) {
    if (name == options.default_protocol) return;
  }
  lua_getfield(L, config, "default_protocol");
  raise_option_error(L, "default_protocol", "one of the protocols");
}

// Calls `take` for each string of a list, with it on top of the stack; false: it is not one of those expected.
template <typename Take>
bool read_strings(lua_State* L, int config, const char* name, const char* expected, Take take) {
  if (!get(L, config, name)) return false;
  if (!lua_istable(L, -1)) raise_option_error(L, name, expected);
  const int list = lua_gettop(L);
  for (int i = 1;; ++i) {
    lua_rawgeti(L, list, i);
    if (lua_isnil(L, -1)) break;
    bool is_taken = false;
    if (is_text(L)) guarded(L, [&] { is_taken = take(lua_tostring(L, -1)); });
    if (!is_taken) raise_option_error(L, name, expected);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return true;
}

void read_listener(lua_State* L, int config, ContextOptions& options) {
  if (get(L, config, "port")) {
    options.port = static_cast<std::uint16_t>(take_integer(L, "port", 0, 65535, "a port number from 1 to 65535"));
  }
  read_string(L, config, "interf", options.interface);
  options.listen_options.reuse_port = read_boolean(L, config, "reuse_port", false);
  if (get(L, config, "unix_mode")) {
    options.listen_options.unix_mode =
        static_cast<mode_t>(take_integer(L, "unix_mode", 0, 0777, "a file mode from 0 to 511 (octal 777)"));
  }
  read_strings(L, config, "listen", "a list of strings without zeros", [&](const char* text) {
    options.listen.emplace_back(text);
    return true;
  });
}

void read_certificate(lua_State* L, int config, CertificateFiles& files) {
  read_string(L, config, "ssl_cert_filepath", files.certificate);
  read_string(L, config, "ssl_cert_path", files.certificate);
  read_string(L, config, "ssl_private_key_filepath", files.private_key);
  read_string(L, config, "ssl_private_key_path", files.private_key);
  if (files.certificate.empty() != files.private_key.empty()) {
    raise_create_error(L, "ssl_cert_path and ssl_private_key_path need each other");
  }
}

void read_tls(lua_State* L, int config, TlsOptions& tls) {
  read_certificate(L, config, tls.files);
  read_string(L, config, "ssl_ca_filepath", tls.ca);
  read_string(L, config, "ssl_ca_path", tls.ca);
  if (!tls.ca.empty() && !tls.enabled()) {
    raise_create_error(L, "ssl_ca_path needs ssl_cert_path and ssl_private_key_path");
  }
  if (!get(L, config, "ssl_names")) return;
  if (!lua_istable(L, -1)) raise_option_error(L, "ssl_names", "a table of tables");
  if (!tls.enabled()) raise_create_error(L, "ssl_names needs ssl_cert_path and ssl_private_key_path");
  const int names = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, names) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) raise_create_error(L, "the keys of option 'ssl_names' are not all names");
    if (!lua_istable(L, -1)) {
      const char* option = lua_pushfstring(L, "ssl_names.%s", lua_tostring(L, -2));
      lua_pushvalue(L, -2);
      raise_option_error(L, option, "a table");
    }
    for (const auto& [other, files] : tls.names) {
      if (!http_text::equals_ignoring_case(other, lua_tostring(L, -2))) continue;
      raise_create_error(L, lua_pushfstring(L, "ssl_names has '%s' twice", lua_tostring(L, -2)));
    }
    guarded(L, [&] { tls.names.emplace_back(lua_tostring(L, -2), CertificateFiles()); });
    read_certificate(L, lua_gettop(L), tls.names.back().second);
    if (tls.names.back().second.certificate.empty()) raise_create_error(L, "a name in ssl_names has no ssl_cert_path");
  }
  lua_pop(L, 1);
}

void require_client_certificate(lua_State* L, TlsOptions& tls, bool required) {
  tls.requires_client_certificate = required;
  if (required && (!tls.enabled() || tls.ca.empty())) {
    raise_create_error(L, "to require client certificates takes ssl_cert_path, ssl_private_key_path and ssl_ca_path");
  }
}

// What a compressor takes in memory, by the sizes that zlib has: its window, and its tables (DeflateSettings).
void read_compression_memory(lua_State* L, int config, CompressionOptions& compression) {
  struct Size {
    const char* name;
    std::uint8_t window_bits;
    int memory_level;
  };
  static constexpr std::array<Size, 8> kSizes = {{{"256KB", 15, 8},
                                                  {"128KB", 14, 7},
                                                  {"64KB", 13, 6},
                                                  {"32KB", 12, 5},
                                                  {"16KB", 11, 4},
                                                  {"8KB", 10, 3},
                                                  {"4KB", 9, 2},
                                                  {"3KB", 9, 1}}};
  const bool is_given = get(L, config, "memory");
  const char* name = is_given && lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  for (const Size& size : kSizes) {
    if (is_given && std::strcmp(name, size.name) != 0) continue;
    compression.wanted.server_max_window_bits = size.window_bits;
    compression.memory_level = size.memory_level;
    if (is_given) lua_pop(L, 1);
    return;
  }
  raise_option_error(L, "compression.memory", "'3KB', '4KB', '8KB', '16KB', '32KB', '64KB', '128KB' or '256KB'");
}

// One boolean for both directions, or a table of two.
void read_context_takeover(lua_State* L, int config, DeflateParameters& wanted) {
  wanted.server_no_context_takeover = wanted.client_no_context_takeover = true;
  if (!get(L, config, "context_takeover")) return;
  if (lua_istable(L, -1)) {
    const auto is_off = [L, directions = lua_gettop(L)](const char* direction, const char* option) {
      if (!get(L, directions, direction)) return true;
      if (!lua_isboolean(L, -1)) raise_option_error(L, option, "true or false");
      const bool is_on = lua_toboolean(L, -1) != 0;
      lua_pop(L, 1);
      return !is_on;
    };
    wanted.server_no_context_takeover = is_off("server", "compression.context_takeover.server");
    wanted.client_no_context_takeover = is_off("client", "compression.context_takeover.client");
  } else if (lua_isboolean(L, -1)) {
    wanted.server_no_context_takeover = wanted.client_no_context_takeover = lua_toboolean(L, -1) == 0;
  } else {
    raise_option_error(L, "compression.context_takeover", "true, false or a table");
  }
  lua_pop(L, 1);
}

void read_compression(lua_State* L, int config, ContextOptions& options) {
  if (!get(L, config, "compression")) return;
  if (lua_isboolean(L, -1)) {
    if (lua_toboolean(L, -1) == 0) return lua_pop(L, 1);
    lua_newtable(L);
    lua_replace(L, -2);
  }
  if (!lua_istable(L, -1)) raise_option_error(L, "compression", "true, false or a table");
  const int table = lua_gettop(L);
  CompressionOptions& compression = options.compression.emplace();
  if (get(L, table, "level")) {
    compression.level = static_cast<int>(take_integer(L, "compression.level", 0, 9, "a whole number from 0 to 9"));
  }
  if (get(L, table, "min_size")) {
    compression.min_bytes =
        static_cast<std::size_t>(take_integer(L, "compression.min_size", 1, kMaxBytes, "a number of bytes above 0"));
  }
  read_compression_memory(L, table, compression);
  read_context_takeover(L, table, compression.wanted);
  if (get(L, table, "client_max_window_bits")) {
    compression.wanted.client_max_window_bits = static_cast<std::uint8_t>(
        take_integer(L, "compression.client_max_window_bits", 9, 15, "a whole number from 9 to 15"));
  }
  lua_pop(L, 1);
}

void read_privileges(lua_State* L, int config, ContextOptions& options) {
  constexpr double kMaxId = 4294967294.0;  // (uid_t) -1 means something else
  if (get(L, config, "uid")) options.uid = static_cast<uid_t>(take_integer(L, "uid", 0, kMaxId, "a user's number"));
  if (get(L, config, "gid")) options.gid = static_cast<gid_t>(take_integer(L, "gid", 0, kMaxId, "a group's number"));
}

void read_trust(lua_State* L, int config, ContextOptions& options) {
  options.checks_origins = read_strings(
      L, config, "origins", "a list of origins: '*', 'null', 'https://example.org' or 'https://*.example.org'",
      [&](const char* text) {
        options.origins.emplace_back(text);
        return is_origin_pattern(text);
      });
  read_strings(L, config, "trusted_proxies", "a list of addresses and networks: '10.0.0.0/8', '::1' or 'unix'",
               [&](const char* text) { return options.trusted_proxies.add(text); });
  options.expects_proxy_header = read_boolean(L, config, "proxy_protocol", false);
  if (options.expects_proxy_header && options.trusted_proxies.empty()) {
    raise_create_error(L, "proxy_protocol needs trusted_proxies");
  }
}

void read_limits(lua_State* L, int config, ContextOptions& options) {
  read_bytes(L, config, "max_message_size", options.rules.max_message_bytes);
  read_bytes(L, config, "max_backpressure", options.max_backpressure_bytes);
  options.drops_when_full = read_choice(L, config, "backpressure_policy", "close", "drop") == 1;
  read_bytes(L, config, "max_header_size", options.request_limits.max_header_bytes);
  read_bytes(L, config, "max_body_size", options.request_limits.max_body_bytes);
  read_bytes(L, config, "max_body_memory", options.max_body_memory_bytes);
  read_seconds(L, config, "handshake_timeout", options.handshake_timeout_ms);
  read_seconds(L, config, "upgrade_timeout", options.upgrade_timeout_ms);
  read_seconds(L, config, "send_timeout", options.send_timeout_ms);
  read_seconds(L, config, "close_timeout", options.close_timeout_ms);
  read_seconds(L, config, "fork_busy_timeout", options.fork_busy_timeout_ms);
  if (get(L, config, "max_headers")) {
    options.request_limits.max_headers =
        static_cast<std::size_t>(take_integer(L, "max_headers", 1, kMaxCount, "a number above 0"));
  }
  read_optional_seconds(L, config, "idle_timeout", options.idle_timeout_ms);
  read_optional_seconds(L, config, "ping_interval", options.ping_interval_ms);
  if (get(L, config, "max_memory")) {
    options.max_memory_bytes =
        static_cast<std::size_t>(take_integer(L, "max_memory", 0, kMaxBytes, "a number of bytes, 0 for any number"));
  }
  read_count(L, config, "max_connections", options.max_connections);
  read_count(L, config, "max_connections_per_ip", options.max_connections_per_address);
}

}  // namespace

void raise_create_error(lua_State* L, const char* why) { raise(L, "websocket could not create context: %s", why); }

void read_config(lua_State* L, int config, int callbacks, LuaContext& context) {
  ContextOptions& options = context.options;
  read_tls(L, config, options.tls);
  read_privileges(L, config, options);
  read_listener(L, config, options);
  read_protocols(L, config, callbacks, options);
  read_function(L, config, "on_http", callbacks, LuaContext::kOnHttp);
  options.asks_before_upgrade = read_function(L, config, "on_upgrade", callbacks, LuaContext::kOnUpgrade);
  context.keeps_requests = read_boolean(L, config, "keep_request", false);
  read_function(L, config, "on_error", callbacks, LuaContext::kOnError);
  read_function(L, config, "on_del_fd", callbacks, LuaContext::kOnDelFd);
  options.announces_descriptors = read_function(L, config, "on_add_fd", callbacks, LuaContext::kOnAddFd);
  options.announces_one = read_boolean(L, config, "one_fd", false);

  read_compression(L, config, options);
  options.rules.check_utf8 = read_boolean(L, config, "utf8_check", true);
  read_limits(L, config, options);
  read_trust(L, config, options);

  if (get(L, config, "options")) {
    const auto mask = static_cast<int>(take_integer(L, "options", 0, 255, "a sum of SERVER_OPTION constants"));
    require_client_certificate(L, options.tls, (mask & kServerOptionRequireValidOpensslClientCert) != 0);
    context.skips_canonical_name = (mask & kServerOptionSkipServerCanonicalName) != 0;
  }
  const char* driver = std::getenv("WEBSOCKETS_DRIVER");
  if (driver != nullptr) guarded(L, [&] { options.driver = driver; });
}

}  // namespace websockets::lua
