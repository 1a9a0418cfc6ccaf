// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace websockets {

// "Not Found" for 404; "" for a status nobody registered.
std::string_view reason_phrase(int status);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).
std::string http_date(std::time_t time);

// The head of an HTTP/1.1 response. Date and Content-Length are added by it; "Connection" as the fields say.
struct ResponseHead {
  int status = 200;
  std::string_view content_type = {};  // empty: none
  std::uint64_t content_length = 0;    // ignored for statuses that have no body (1xx, 204, 304: RFC 9110 8.6)
  bool keep_alive = true;              // false: "Connection: close"
  bool http_1_0 = false;               // the request was HTTP/1.0: a kept connection says "Connection: keep-alive"
  std::vector<std::pair<std::string_view, std::string_view>> headers = {};  // further ones, checked by the caller
  std::string_view header_lines = {};  // the same, as they are sent, each with its CR LF
};

// Whether answers with this status have content, be it empty (RFC 9110 6.4.1, 15.3.5, 15.4.5).
constexpr bool has_content(int status) { return status >= 200 && status != 204 && status != 304; }
// Whether that may be more than nothing (RFC 9110 15.3.6).
constexpr bool may_have_body(int status) { return has_content(status) && status != 205; }

std::string serialize_head(const ResponseHead& head, std::time_t now);

// Whether a header may be sent: its name is a token, and in its value there is no control character but tabs (RFC 9110
// 5.5, 5.6.2), which is how headers are injected.
bool is_valid_header(std::string_view name, std::string_view value);

// The 101 answer of RFC 6455 4.2.2; `subprotocol` is left out when empty. `header_lines`: further ones, as
// in ResponseHead.
std::string serialize_switching_protocols(std::string_view accept_key, std::string_view subprotocol,
                                          std::string_view header_lines = {});

}  // namespace websockets
