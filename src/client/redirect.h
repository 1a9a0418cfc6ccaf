// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dial/failure.h"
#include "http/websocket_url.h"

namespace websockets {

// The URL that a redirect names, against the one that was asked (RFC 3986 5.2, without a fragment), as text: perhaps
// none of a websocket.
std::string resolve_location(const WebsocketUrl& base, std::string_view location);

// Whether two URLs have the same scheme (ws and http, wss and https are the same), host and port (RFC 6454 4), or the
// same unix socket.
bool is_same_origin(const WebsocketUrl& a, const WebsocketUrl& b);

// The redirects of one attempt, from its first request to the answer that is none.
class Redirects {
 public:
  // Follows so many.
  explicit Redirects(unsigned limit) : limit_(limit) {}

  // Where the next request goes.
  struct Step {
    Failure failure;  // kHttp and final: the redirect is not followed
    WebsocketUrl url;
    // The origin is another one than that of `from`: what was meant for that one must not be sent: the user's headers
    // and userinfo, client certificate, pins, server name, host, unix socket and address. They stay dropped, wherever
    // further steps lead.
    bool is_other_origin = false;
  };
  Step follow(const WebsocketUrl& from, std::string_view location);

 private:
  unsigned limit_;
  std::vector<std::string> visited_;
};

}  // namespace websockets
