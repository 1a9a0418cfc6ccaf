// SPDX-License-Identifier: MIT
#include "cluster/redis_url.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <limits>
#include <utility>

#include "base/http_text.h"
#include "http/url.h"
#include "http/websocket_url.h"

namespace websockets {
namespace {

constexpr std::uint16_t kPort = 6379;
constexpr std::uint16_t kSentinelPort = 26379;

bool take_scheme(std::string_view& text, std::string_view scheme) {
  if (text.size() < scheme.size()) return false;
  if (!http_text::equals_ignoring_case(text.substr(0, scheme.size()), scheme)) return false;
  text.remove_prefix(scheme.size());
  return true;
}

Error read_database(std::string_view text, std::uint32_t& database) {
  if (text.empty()) return {};
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, database);
  if (error != std::errc{} || rest != end || database > std::numeric_limits<std::int32_t>::max()) {
    return Error{"a database is a number"};
  }
  return {};
}

// Username and password are parted before they are decoded: either may have an encoded ":" in it.
Error take_userinfo(std::string_view& authority, RedisUrl& url) {
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return {};
  const std::string_view userinfo = authority.substr(0, at);
  const std::size_t colon = userinfo.find(':');
  if (colon == std::string_view::npos || colon + 1 == userinfo.size()) return Error{"a user needs a password"};
  url.username = percent_decode(userinfo.substr(0, colon), false);
  url.password = percent_decode(userinfo.substr(colon + 1), false);
  if (userinfo.find('@') != std::string_view::npos) return Error{"an \"@\" in its userinfo has to be written as %40"};
  authority.remove_prefix(at + 1);
  return {};
}

Error read_servers(std::string_view text, RedisUrl& url, std::uint16_t default_port) {
  for (std::size_t comma = 0; comma != std::string_view::npos;
       text.remove_prefix(std::min(comma, text.size() - 1) + 1)) {
    comma = text.find(',');
    Result<Authority> server = parse_authority(text.substr(0, comma));
    if (!server) return server.error();
    url.servers.push_back({std::move(server->host), server->port != 0 ? server->port : default_port});
    if (comma == std::string_view::npos) break;
  }
  return {};
}

Error read_unix(std::string_view rest, RedisUrl& url) {
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const std::size_t end = std::min(rest.find('/'), rest.size());
    std::string_view authority = rest.substr(0, end);
    if (Error error = take_userinfo(authority, url)) return error;
    if (!authority.empty()) return Error{"a unix socket has no host"};
    rest.remove_prefix(end);
  }
  const std::size_t question_mark = rest.find('?');
  url.unix_path = percent_decode(rest.substr(0, question_mark), false);
  if (!url.unix_path.starts_with('/')) return Error{"the path of a unix socket begins with \"/\""};
  if (url.unix_path.find('\0') != std::string::npos) return Error{"a path has no NUL"};
  if (question_mark == std::string_view::npos) return {};
  std::string_view query = rest.substr(question_mark + 1);
  if (!query.starts_with("db=")) return Error{"behind \"?\" there can be nothing but db=NUMBER"};
  query.remove_prefix(3);
  return query.empty() ? Error{"a database is a number"} : read_database(query, url.database);
}

Error read_hosts(std::string_view rest, RedisUrl& url, bool is_sentinel) {
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view authority = rest.substr(0, slash);
  std::string_view path = rest.substr(std::min(slash + 1, rest.size()));
  if (Error error = take_userinfo(authority, url)) return error;
  if (!is_sentinel && authority.find(',') != std::string_view::npos)
    return Error{"more than one host: give a list of URLs"};
  if (Error error = read_servers(authority, url, is_sentinel ? kSentinelPort : kPort)) return error;
  if (is_sentinel) {
    const std::size_t name_end = std::min(path.find('/'), path.size());
    url.master_name = percent_decode(path.substr(0, name_end), false);
    if (url.master_name.empty()) return Error{"the master's name is missing: redis+sentinel://HOST,HOST/NAME"};
    path.remove_prefix(std::min(name_end + 1, path.size()));
  }
  return read_database(path, url.database);
}

Error read_url(std::string_view text, RedisUrl& url) {
  if (std::any_of(text.begin(), text.end(), [](char c) { return c == ' ' || http_text::is_control(c); })) {
    return Error{"white space and control characters have to be encoded"};
  }
  if (text.find('#') != std::string_view::npos) return Error{"a \"#\" has to be encoded"};
  if (take_scheme(text, "redis+unix:")) return read_unix(text, url);
  if (take_scheme(text, "redis+sentinel://")) return read_hosts(text, url, true);
  url.is_tls = take_scheme(text, "rediss://");
  if (url.is_tls || take_scheme(text, "redis://")) return read_hosts(text, url, false);
  return Error{"it begins with redis://, rediss://, redis+unix: or redis+sentinel://"};
}

// Also of what has no "//" in front of it, and of what is no URL at all.
std::string without_password(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return url_for_messages(text);
  const std::size_t colon = text.find(':');
  const std::string_view scheme = text.find("//") == colon + 1 ? text.substr(0, colon + 3) : std::string_view();
  return url_for_messages(std::string(scheme).append(text.substr(at + 1)));
}

}  // namespace

std::string RedisUrl::text() const {
  std::string text;
  if (!unix_path.empty()) {
    text.append("redis+unix:").append(unix_path);
    return database == 0 ? text : text.append("?db=").append(std::to_string(database));
  }
  text = is_sentinel() ? "redis+sentinel://" : is_tls ? "rediss://" : "redis://";
  const char* separator = "";
  for (const Server& server : servers) {
    text.append(std::exchange(separator, ",")).append(authority(server.host, server.port));
  }
  if (is_sentinel()) text.append("/").append(master_name);
  return text.append("/").append(std::to_string(database));
}

Result<RedisUrl> parse_redis_url(std::string_view text) {
  RedisUrl url;
  if (const Error error = read_url(text, url)) {
    std::string reason("'");
    return Error{reason.append(without_password(text)).append("' is no URL of Redis: ").append(error.text)};
  }
  return url;
}

}  // namespace websockets
