// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/process_environment.h"
#include "base/result.h"

namespace websockets {

// What a connection goes through.
struct Proxy {
  enum class Kind : std::uint8_t {
    kNone,
    kHttp,     // CONNECT
    kHttps,    // the same, over TLS with the proxy
    kSocks5h,  // RFC 1928, names looked up by the proxy
  };

  Kind kind = Kind::kNone;
  std::string host;  // as in WebsocketUrl
  std::uint16_t port = 0;
  std::string userinfo;  // decoded, "user:password"; empty: none. For no message

  explicit operator bool() const { return kind != Kind::kNone; }
};

// "http://user:password@host:port", "https://", "socks5h://"; "host:port" is the first one. Ports are 80, 443 and 1080
// where none is given. The error's text shows no userinfo.
Result<Proxy> parse_proxy(std::string_view text);

// Where a connection goes that may need a proxy.
struct ProxyTarget {
  bool is_tls = false;
  std::string_view host;  // as in WebsocketUrl
  std::uint16_t port = 0;
};

// The value of an environment variable; null: it is not set.
using Environment = std::function<const char*(const char* name)>;

// What the environment says, as curl reads it: the first one that is set of wss_proxy, https_proxy and all_proxy for
// TLS, of ws_proxy, http_proxy and all_proxy otherwise, in lower case, then in upper case, but for HTTP_PROXY, which a
// CGI program gets from its client's header "Proxy". None when it is empty, when no_proxy names the host, for
// localhost, and for loopback addresses. Unix sockets have none either: not to be asked of them.
Result<Proxy> proxy_of_environment(const ProxyTarget& target, const Environment& environment = process_environment);

// Whether a list as in no_proxy has the host: separated by commas or blanks, each element "*"; an address, or a network
// ("10.0.0.0/8"); a name, which stands for its subdomains, too ("example.org", ".example.org"); all but "*" and
// networks perhaps with a port ("example.org:8080", "[::1]:80").
bool is_in_no_proxy(std::string_view list, std::string_view host, std::uint16_t port);

}  // namespace websockets
