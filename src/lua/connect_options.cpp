// SPDX-License-Identifier: MIT
// What is given to connect().
#include "lua/connect_options.h"

#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "http/websocket_url.h"
#include "lua/caller_line.h"
#include "lua/check_bytes.h"
#include "lua/client_tls_options.h"
#include "lua/compression_options.h"
#include "lua/option_reader.h"
#include "lua/option_values.h"
#include "lua/other_names.h"
#include "lua/push.h"
#include "net/socket_address.h"

namespace websockets::lua {
namespace {

using Pairs = OpeningOptions::Pairs;

constexpr const char* kHeadersWanted = "a table of headers, or a function that returns one";
constexpr const char* kHeaderWanted = "a string, a number, or a list of these";
constexpr const char* kCookiesWanted = "a table of cookies";
constexpr const char* kCookieWanted = "a string or a number";
constexpr const char* kUrlWanted = "a string, or a function that returns one";

// Raises what is wrong with the opening request.
void check_opening(lua_State* L, OptionReader::Raise raise_error, const OpeningOptions& opening) {
  ErrorCopy why;
  guarded(L, [&] { why = check_opening_options(opening); });
  if (why) raise_error(L, why.text());
}

// Raises why the URL is none.
void check_url(lua_State* L, OptionReader::Raise raise_error, const std::string& url) {
  ErrorCopy why;
  guarded(L, [&] {
    const Result<WebsocketUrl> parsed = parse_websocket_url(url);
    if (!parsed) why = parsed.error();
  });
  if (why) raise_error(L, why.text());
}

// As describe(), but without the text of a string, which may be a token or a password.
const char* describe_secret(lua_State* L) { return lua_type(L, -1) == LUA_TSTRING ? "a string" : describe(L); }

// Appends a value, on top of the stack, which is taken, with the name at an index; false: it is none.
bool append_value(lua_State* L, int name, Pairs& pairs) {
  if (lua_isstring(L, -1) == 0) return false;
  const std::string_view value = as_text(check_bytes(L, -1));  // of numbers it makes strings
  const std::string_view named = as_text(check_bytes(L, name));
  guarded(L, [&] { pairs.emplace_back(named, value); });
  lua_pop(L, 1);
  return true;
}

// Appends what a table on top of the stack has: names and their values; or, where `takes_lists`, lists of values. The
// name whose value cannot be is returned, with that on top of the stack; null: all is well, or a key is no name.
const char* append_pairs(lua_State* L, bool takes_lists, Pairs& pairs, bool& has_names) {
  const int table = lua_gettop(L);
  const int name = table + 1;
  has_names = true;
  for (lua_pushnil(L); lua_next(L, table) != 0; lua_settop(L, name)) {
    has_names = lua_type(L, name) == LUA_TSTRING;
    if (!has_names) return nullptr;
    if (!takes_lists || !lua_istable(L, -1)) {
      lua_pushvalue(L, -1);
      if (!append_value(L, name, pairs)) return lua_tostring(L, name);
      continue;
    }
    for (int i = 1;; ++i) {
      lua_rawgeti(L, name + 1, i);
      if (lua_isnil(L, -1)) break;
      if (!append_value(L, name, pairs)) return lua_tostring(L, name);
    }
  }
  return nullptr;
}

// The table is on top of the stack, and taken.
void read_pairs(OptionReader& reader, const char* option, const char* expected, const char* value_expected,
                bool takes_lists, Pairs& pairs) {
  lua_State* const L = reader.state();
  const int table = lua_gettop(L);
  if (!lua_istable(L, table)) {
    reader.raise_text(lua_pushfstring(L, "option '%s' is %s, expected %s", option, describe_secret(L), expected));
  }
  bool has_names = false;
  const char* const wrong = append_pairs(L, takes_lists, pairs, has_names);
  if (wrong != nullptr) {
    const char* const name = lua_pushfstring(L, "%s.%s", option, wrong);
    lua_insert(L, -2);
    reader.raise_value(name, value_expected);
  }
  if (!has_names) {
    lua_settop(L, table + 1);
    reader.raise_value(option, expected);
  }
  lua_settop(L, table - 1);
}

// Leaves the function on the stack, if it is one, else nil.
void read_headers(OptionReader& reader, Pairs& headers) {
  lua_State* const L = reader.state();
  if (!reader.get("headers")) return lua_pushnil(L);
  if (lua_isfunction(L, -1)) return;
  read_pairs(reader, "headers", kHeadersWanted, kHeaderWanted, true, headers);
  lua_pushnil(L);
}

// A text of the opening request, which check_opening() looks at; of any bytes.
void read_line(OptionReader& reader, const char* name, std::string& text) {
  lua_State* const L = reader.state();
  if (!reader.get(name)) return;
  if (lua_type(L, -1) != LUA_TSTRING) reader.raise_value(name, "a string");
  const std::string_view value = as_text(check_bytes(L, -1));
  guarded(L, [&] { text = value; });
  lua_pop(L, 1);
}

void read_opening(OptionReader& reader, OpeningOptions& opening) {
  reader.read_texts("protocols", "a list of names, in the order of preference", [&](const char* text) {
    opening.protocols.emplace_back(text);
    return true;
  });
  reader.read_boolean("protocol_required", opening.protocol_required);
  read_line(reader, "origin", opening.origin);
  read_line(reader, "host", opening.host);
  read_line(reader, "user_agent", opening.user_agent);
  if (reader.get("cookies")) {
    read_pairs(reader, "cookies", kCookiesWanted, kCookieWanted, false, opening.cookies);
  }
}

void read_proxy(OptionReader& reader, ClientOptions& options) {
  lua_State* const L = reader.state();
  if (!reader.get("proxy")) return;
  if (lua_isboolean(L, -1) && lua_toboolean(L, -1) == 0) {
    options.proxy_use = ClientOptions::ProxyUse::kNone;
    return lua_pop(L, 1);
  }
  if (lua_type(L, -1) != LUA_TSTRING) {
    reader.raise_value("proxy", "false, or 'http://host:port', 'https://…' or 'socks5h://…'");
  }
  const std::string_view text = as_text(check_bytes(L, -1));
  ErrorCopy why;
  guarded(L, [&] {
    Result<Proxy> proxy = parse_proxy(text);
    if (proxy) {
      options.proxy = std::move(*proxy);
    } else {
      why = proxy.error();
    }
  });
  if (why) reader.raise_text(why.text());
  options.proxy_use = ClientOptions::ProxyUse::kGiven;
  lua_pop(L, 1);
}

// An address without a name, perhaps with a port.
std::optional<SocketAddress> literal_address(std::string_view text) {
  std::optional<PeerAddress> address = PeerAddress::parse(text);
  std::uint16_t port = 0;
  if (!address) {
    Result<Authority> parts = parse_authority(text);
    if (!parts || !parts->userinfo.empty()) return std::nullopt;
    address = PeerAddress::parse(parts->host);
    port = parts->port;
  }
  if (!address) return std::nullopt;
  SocketAddress result = address->socket_address();
  result.set_port(port);
  return result;
}

void read_address(OptionReader& reader, ClientOptions& options) {
  lua_State* const L = reader.state();
  if (!reader.get("address")) return;
  if (lua_type(L, -1) == LUA_TSTRING) {
    guarded(L, [&] { options.address = literal_address(as_text(check_bytes(L, -1))); });
  }
  if (!options.address) {
    reader.raise_value("address", "a literal address, perhaps with a port: '192.0.2.1', '[::1]:8080'");
  }
  lua_pop(L, 1);
}

void read_place(OptionReader& reader, ClientOptions& options) {
  reader.read_text("unix", options.unix_path);
  reader.read_text("interf", options.interface);
  read_address(reader, options);
  read_proxy(reader, options);
}

void read_reconnect(OptionReader& config, std::optional<RetryOptions>& reconnect) {
  lua_State* const L = config.state();
  if (!config.get("reconnect")) return;
  if (lua_isboolean(L, -1)) {
    if (lua_toboolean(L, -1) != 0) reconnect.emplace();
    return lua_pop(L, 1);
  }
  if (!lua_istable(L, -1)) config.raise_value("reconnect", "true, false or a table");
  constexpr const char* kExpected = "a number of seconds up to 1e6";
  const int table = lua_gettop(L);
  RetryOptions& options = reconnect.emplace();
  OptionReader reader(L, table, config.raise_error(), "reconnect.");
  reader.read_number("delay", 0, kMaxRetrySeconds, kExpected, options.delay);
  reader.read_number("factor", 1, 1000, "a number from 1 to 1000", options.factor);
  reader.read_number("max_delay", 0, kMaxRetrySeconds, kExpected, options.max_delay);
  reader.read_number("stable", 0, kMaxRetrySeconds, kExpected, options.stable);
  reader.read_whole("attempts", 0, kMaxCount, "a whole number up to 1e9, 0 for any number", options.attempts);
  reader.refuse_unknown();
  lua_settop(L, table - 1);
}

// Pushes its function, or nil.
void read_resume(OptionReader& config) {
  lua_State* const L = config.state();
  if (!config.get("resume")) return lua_pushnil(L);
  if (!lua_istable(L, -1)) config.raise_value("resume", "a table");
  OptionReader reader(L, lua_gettop(L), config.raise_error(), "resume.");
  if (!reader.get("topics")) lua_pushnil(L);
  reader.refuse_unknown();
  if (!lua_isfunction(L, -1)) reader.raise_value("topics", "a function");
  lua_replace(L, -2);
}

void read_limits(OptionReader& reader, ConnectOptions& options) {
  reader.read_whole("redirects", 0, 100, "a whole number up to 100", options.redirects);
  read_seconds(reader, "connect_timeout", options.connect_timeout_ms);
  read_seconds(reader, "close_timeout", options.close_timeout_ms);
  read_optional_seconds(reader, "idle_timeout", options.keepalive.idle_timeout_ms);
  read_optional_seconds(reader, "ping_interval", options.keepalive.ping_interval_ms);
  read_bytes(reader, "max_message_size", options.max_message_bytes);
  read_bytes(reader, "max_backpressure", options.max_backpressure_bytes);
  reader.read_whole("receive_buffer", 1, 1U << 30U, "a whole number of bytes up to 1 GiB",
                    options.receive_buffer_bytes);
}

// Pushes the function, if it is one, else nil.
void read_url(lua_State* L, int index, std::string& url) {
  if (lua_isfunction(L, index)) return lua_pushvalue(L, index);
  if (lua_type(L, index) != LUA_TSTRING) {
    lua_pushvalue(L, index);
    raise_connect_error(L, lua_pushfstring(L, "the URL is %s, expected %s", describe(L), kUrlWanted));
  }
  const std::string_view text = as_text(check_bytes(L, index));
  guarded(L, [&] { url = text; });
  check_url(L, raise_connect_error, url);
  lua_pushnil(L);
}

[[noreturn]] void raise_of_function(lua_State* L, const char* why) {
  lua_pushstring(L, why);
  lua_error(L);
  std::abort();
}

}  // namespace

void raise_connect_error(lua_State* L, const char* why) { raise_at_caller(L, "websocket could not connect: %s", why); }

void read_connect_options(lua_State* L, int url, int table, ConnectOptions& options) {
  luaL_checkstack(L, 16, "websocket");
  read_url(L, url, options.url);
  if (lua_isnoneornil(L, table)) return lua_settop(L, lua_gettop(L) + 2);
  if (!lua_istable(L, table)) {
    lua_pushvalue(L, table);
    raise_connect_error(L, lua_pushfstring(L, "the options are %s, expected a table", describe(L)));
  }
  OptionReader reader(L, table, raise_connect_error);
  read_headers(reader, options.opening.headers);
  read_resume(reader);
  read_opening(reader, options.opening);
  read_place(reader, options);
  read_client_tls(reader, options.tls);
  read_limits(reader, options);
  read_compression(reader, Role::kClient, options.compression);
  read_reconnect(reader, options.reconnect);
  reader.refuse_unknown(find_connect_option);
  check_opening(L, raise_connect_error, options.opening);
  check_client_tls(reader, options.tls);
}

void take_url(lua_State* L, std::string& url) {
  if (lua_type(L, -1) != LUA_TSTRING) raise(L, "the function for the URL returned %s, not a string", describe(L));
  const std::string_view text = as_text(check_bytes(L, -1));
  guarded(L, [&] { url = text; });
  check_url(L, raise_of_function, url);
  lua_pop(L, 1);
}

void take_headers(lua_State* L, OpeningOptions::Pairs& headers) {
  if (lua_isnil(L, -1)) return lua_pop(L, 1);
  if (!lua_istable(L, -1)) raise(L, "the function for headers returned %s, not a table", describe_secret(L));
  const int table = lua_gettop(L);
  bool has_names = false;
  const char* const wrong = append_pairs(L, true, headers, has_names);
  if (wrong != nullptr) {
    const char* const shown = describe(L);
    raise(L, "the function for headers returned '%s' = %s, not %s", push_excerpt(L, wrong), shown, kHeaderWanted);
  }
  if (!has_names) raise(L, "the function for headers returned a table with keys that are no names");
  ErrorCopy why;
  guarded(L, [&] {
    OpeningOptions opening;
    opening.headers = headers;
    why = check_opening_options(opening);
  });
  if (why) raise_of_function(L, why.text());
  lua_settop(L, table - 1);
}

}  // namespace websockets::lua
