// SPDX-License-Identifier: MIT
#include "http/websocket_url.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>

#include "base/http_text.h"
#include "http/url.h"

namespace websockets {
namespace {

constexpr std::uint16_t kPort = 80;
constexpr std::uint16_t kTlsPort = 443;

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

bool is_name_char(char c) { return http_text::is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; }

// RFC 3986 3.3, 3.4; a "%" stays as it is, be it in front of two digits or not.
bool is_target_char(char c) {
  return is_ascii(c) && !http_text::is_control(c) && std::string_view(" \"<>\\^`{|}").find(c) == std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), http_text::to_lower);
  return result;
}

std::string encode(std::string_view text, std::string_view also_encoded) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (is_target_char(c) && also_encoded.find(c) == std::string_view::npos) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded.append(1, '%').append(1, kDigits[byte >> 4U]).append(1, kDigits[byte & 15U]);
    }
  }
  return encoded;
}

std::string encode_target(std::string_view text) {
  std::string target = encode(text, {});
  return target.starts_with('/') ? target : target.insert(0, 1, '/');
}

Error decode_userinfo(std::string_view text, std::string& userinfo) {
  if (text.find('@') != std::string_view::npos) return {"an \"@\" in its userinfo has to be written as %40"};
  if (text.empty()) return {};
  const std::size_t colon = std::min(text.find(':'), text.size());
  userinfo = percent_decode(text.substr(0, colon), false);
  // RFC 7617 2: the first colon is the end of the name.
  if (userinfo.find(':') != std::string::npos) return {"the user's name in it has a colon"};
  userinfo.append(1, ':').append(percent_decode(text.substr(std::min(colon + 1, text.size())), false));
  if (std::any_of(userinfo.begin(), userinfo.end(), http_text::is_control)) {
    return {"its userinfo has a control character"};
  }
  return {};
}

Error take_literal(std::string_view& text, std::string& host) {
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return {"the \"]\" behind its address is missing"};
  const std::string_view inside = text.substr(1, end - 1);
  text.remove_prefix(end + 1);
  const std::string_view address = inside.substr(0, inside.find('%'));
  std::string_view zone = inside.substr(address.size());
  const bool is_address =
      address.find(':') != std::string_view::npos && std::all_of(address.begin(), address.end(), [](char c) {
        return http_text::hexadecimal_value(c) >= 0 || c == ':' || c == '.';
      });
  // RFC 6874 2 wants the "%" encoded; people copy it as the system prints it.
  if (!zone.empty()) zone.remove_prefix(zone.starts_with("%25") && zone.size() > 3 ? 3 : 1);
  const bool is_zone = address.size() == inside.size() || !zone.empty();
  if (!is_address || !is_zone || !std::all_of(zone.begin(), zone.end(), is_name_char)) {
    return {"what it has between brackets is no IPv6 address"};
  }
  host = lower(address);
  if (!zone.empty()) host.append(1, '%').append(zone);
  return {};
}

Error take_name(std::string_view& text, std::string& host) {
  const std::string_view name = text.substr(0, text.find(':'));
  text.remove_prefix(name.size());
  if (name.empty()) return {"it has no host"};
  if (!std::all_of(name.begin(), name.end(), is_ascii)) {
    return {"its host has to be written in ASCII, in the form of A-labels (\"xn--bcher-kva.example\")"};
  }
  if (!std::all_of(name.begin(), name.end(), is_name_char)) return {"its host has a character that no name has"};
  host = lower(name);
  return {};
}

Error read_port(std::string_view text, std::uint16_t& port) {
  if (text.size() <= 1 && (text.empty() || text == ":")) return {};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + 1, end, port);
  const bool is_number = text.front() == ':' && error == std::errc() && stop == end && port > 0;
  return is_number ? Error() : Error{"its port is no number from 1 to 65535"};
}

// Behind "ws+unix:". Two slashes may be in front of an absolute path, where a host would be.
Error read_unix_url(std::string_view rest, WebsocketUrl& url) {
  if (rest.starts_with("///")) {
    rest.remove_prefix(2);
  } else if (rest.starts_with("//")) {
    return {"ws+unix has a path in place of a host: \"ws+unix:/path/to.sock:/uri\""};
  }
  const std::string_view path = rest.substr(0, rest.find(':'));
  rest.remove_prefix(std::min(path.size() + 1, rest.size()));
  url.unix_path = percent_decode(path, false);
  if (url.unix_path.empty()) return {"the path of its socket is missing"};
  if (std::any_of(url.unix_path.begin(), url.unix_path.end(), http_text::is_control)) {
    return {"the path of its socket has a control character"};
  }
  url.host = "localhost";
  url.port = kPort;
  url.target = encode_target(rest);
  return {};
}

Error read_url(std::string_view text, WebsocketUrl& url) {
  if (std::any_of(text.begin(), text.end(), [](char c) { return http_text::is_control(c) || c == ' '; })) {
    return {"it has white space or a control character, which are to be written as \"%20\" and the like"};
  }
  if (text.find('#') != std::string_view::npos) return {"a websocket has no fragment (\"#\")"};  // RFC 6455 3
  const std::size_t colon = text.find(':');
  const std::string scheme = lower(text.substr(0, std::min(colon, text.size())));
  std::string_view rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (scheme == "ws+unix") return read_unix_url(rest, url);
  if (scheme == "wss+unix") {
    return {"a path is no name that a certificate could be for: take wss with the server's name, and the option unix"};
  }
  url.is_tls = scheme == "wss" || scheme == "https";
  if ((!url.is_tls && scheme != "ws" && scheme != "http") || !rest.starts_with("//")) {
    return {"it does not begin with ws://, wss://, http://, https:// or ws+unix:"};
  }
  rest.remove_prefix(2);
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  Result<Authority> authority = parse_authority(rest.substr(0, end));
  if (!authority) return authority.error();
  url.host = std::move(authority->host);
  url.userinfo = std::move(authority->userinfo);
  url.port = authority->port != 0 ? authority->port : url.is_tls ? kTlsPort : kPort;
  url.target = encode_target(rest.substr(end));
  return {};
}

std::string in_brackets(std::string_view host) {
  const bool is_ipv6 = host.find(':') != std::string_view::npos;
  std::string text;
  return text.append(is_ipv6 ? "[" : "").append(host).append(is_ipv6 ? "]" : "");
}

}  // namespace

std::string WebsocketUrl::host_header() const {
  const std::string_view without_zone = std::string_view(host).substr(0, host.find('%'));
  return has_default_port() ? in_brackets(without_zone) : authority(without_zone, port);
}

std::string WebsocketUrl::text() const {
  std::string text;
  if (!unix_path.empty()) {
    // So that what could be a host is none.
    text.append(unix_path.starts_with("//") ? "ws+unix://" : "ws+unix:");
    return text.append(encode(unix_path, "%:?#")).append(":").append(target);
  }
  std::string encoded = host;
  if (const std::size_t zone = encoded.find('%'); zone != std::string::npos) encoded.replace(zone, 1, "%25");
  text.append(is_tls ? "wss://" : "ws://");
  return text.append(has_default_port() ? in_brackets(encoded) : authority(encoded, port)).append(target);
}

Result<WebsocketUrl> parse_websocket_url(std::string_view text) {
  WebsocketUrl url;
  if (const Error error = read_url(text, url)) {
    std::string reason("'");
    return Error{reason.append(url_for_messages(text)).append("' is no URL of a websocket: ").append(error.text)};
  }
  return url;
}

std::string authority(std::string_view host, std::uint16_t port) {
  return in_brackets(host).append(1, ':').append(std::to_string(port));
}

Result<Authority> parse_authority(std::string_view text) {
  Authority authority;
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    if (Error error = decode_userinfo(text.substr(0, at), authority.userinfo)) return error;
    text.remove_prefix(at + 1);
  }
  if (Error error = text.starts_with('[') ? take_literal(text, authority.host) : take_name(text, authority.host)) {
    return error;
  }
  if (Error error = read_port(text, authority.port)) return error;
  return authority;
}

std::string url_for_messages(std::string_view url) {
  const std::size_t slashes = url.find("//");
  const std::size_t begin = slashes == std::string_view::npos ? 0 : slashes + 2;
  // A password with a "/" in it, which is none then, is not shown either.
  const std::size_t at = url.rfind('@');
  std::string text(url);
  if (at != std::string_view::npos && at >= begin) text.erase(begin, at + 1 - begin);
  std::replace_if(text.begin(), text.end(), http_text::is_control, '?');
  return text;
}

}  // namespace websockets
