// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace websockets {

// What the opening handshake looks at (RFC 6455 4.2.1). Values as received; a header that occurs several times is
// joined with ", " by the caller, except `key`, `version` and `host`, whose repetition the caller reports.
struct HandshakeRequest {
  std::string_view method;
  int http_minor_version = 1;  // of HTTP/1.x
  std::string_view host;
  std::string_view upgrade;
  std::string_view connection;
  std::string_view key;
  std::string_view version;
  std::string_view extensions;
  bool has_host = false;
  bool has_key = false;
  bool has_version = false;
  bool repeated_header = false;  // host, key or version came more than once
};

struct HandshakeVerdict {
  int status = 101;  // 101, 400, 405 or 426 (an answer 426 must carry "Sec-WebSocket-Version: 13", 405 "Allow: GET")
  std::string_view text;  // why not 101; for the body
};

// Whether a comma-separated list header holds `token`, compared without case (RFC 9110 5.6.1).
bool list_has_token(std::string_view list, std::string_view token);

// Whether a comma-separated list header has no element: then it says no more than one that is not there.
bool is_empty_list(std::string_view list);

// Whether the request asks for a websocket at all: its Upgrade header lists "websocket".
bool asks_for_websocket(std::string_view upgrade);

// Applies RFC 6455 4.2.1 to a request for which asks_for_websocket() holds.
HandshakeVerdict check_handshake(const HandshakeRequest& request);

// Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 4.2.2). Throws std::bad_alloc when memory is short.
std::string accept_key(std::string_view key);

// Whether a Sec-WebSocket-Extensions list keeps to its grammar (RFC 6455 9.1), or is empty.
bool is_extension_list(std::string_view list);

// RFC 7230 token: what a subprotocol's name must be.
bool is_token(std::string_view text);

// Walks a Sec-WebSocket-Protocol list. next() returns the offers one by one, empty string_view at the end.
// malformed() is then true when something that is not a token was among them, or one name came twice (RFC 6455 4.1),
// or there were more than kMaxOffers. What is not a token is left out, and so is everything behind kMaxOffers.
class SubprotocolOffers {
 public:
  static constexpr unsigned kMaxOffers = 128;  // looking for names that came twice takes the square of it

  explicit SubprotocolOffers(std::string_view list) : list_(list), rest_(list) {}
  std::string_view next();
  bool malformed() const { return malformed_; }

 private:
  std::string_view list_;
  std::string_view rest_;
  unsigned count_ = 0;
  bool malformed_ = false;
};

}  // namespace websockets
