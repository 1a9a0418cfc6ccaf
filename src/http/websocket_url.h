// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace websockets {

// Where a websocket is (RFC 6455 3; RFC 3986 3).
struct WebsocketUrl {
  bool is_tls = false;
  std::string host;  // in lower case, without brackets: "example.org", "::1", "fe80::1%eth0"
  std::uint16_t port = 0;
  std::string target = "/";  // of the request: the path, and the query with its "?"
  std::string userinfo;      // decoded, "user:password"; empty: none. For basic_authorization() and nothing else
  std::string unix_path;     // of ws+unix, whose host is "localhost"; empty: none

  bool has_default_port() const { return port == (is_tls ? 443 : 80); }
  // For the Host header: with brackets, without a zone (RFC 6874 4), the port unless it is the default.
  std::string host_header() const;
  // For messages: the same, or the unix socket.
  std::string place() const { return unix_path.empty() ? host_header() : unix_path; }
  // Likewise: the whole URL, but for the userinfo.
  std::string text() const;
};

// ws, wss, http and https, where the latter two mean the same; "ws+unix:/path/to.sock:/uri". What no URL may have in
// its path or query is encoded, but white space and control characters are errors, as is a fragment. The error's text
// names the URL, without its userinfo. Throws std::bad_alloc.
Result<WebsocketUrl> parse_websocket_url(std::string_view text);

// "host:port", with brackets around an IPv6 address (RFC 3986 3.2.2).
std::string authority(std::string_view host, std::uint16_t port);

// What stands in front of the path of a URL that has a host, behind its "//" (RFC 3986 3.2): how a websocket is named,
// or a proxy.
struct Authority {
  std::string host;        // as in WebsocketUrl
  std::uint16_t port = 0;  // 0: none is given
  std::string userinfo;
};
// The error's text is a reason, to be put behind what the authority belongs to; it quotes nothing.
Result<Authority> parse_authority(std::string_view text);

// The URL, perhaps a malformed one, without what could be a password, and without control characters.
std::string url_for_messages(std::string_view url);

}  // namespace websockets
