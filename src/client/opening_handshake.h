// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dial/failure.h"
#include "http/received_head.h"
#include "http/websocket_url.h"
#include "websocket/deflate_negotiation.h"

// The client's side of the opening handshake (RFC 6455 4.1): functions of what is asked for, and of what is answered.
namespace websockets {

// What one request asks for, beside its URL.
struct OpeningOptions {
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  std::vector<std::string> protocols;  // in the order of preference
  bool protocol_required = true;       // an answer that chooses none of them fails
  Pairs headers;                       // behind those that the handshake has; take precedence over the following ones
  Pairs cookies;
  std::string origin;                            // empty: none
  std::string user_agent;                        // empty: none
  std::string host;                              // in place of the URL's; empty: the URL's
  std::optional<DeflateParameters> compression;  // what is offered
};

// Whether a request can be made of the options: no name or value that would end a line, nothing twice, no header that
// is the handshake's own. An error is a sentence that names the option and the value.
Error check_opening_options(const OpeningOptions& options);

// 16 random bytes (RFC 6455 4.1) as they are sent, and as the answer is held against.
std::string opening_key(const std::array<std::uint8_t, 16>& random);

// The whole request. The options are good by check_opening_options().
std::string opening_request(const WebsocketUrl& url, const OpeningOptions& options, std::string_view key);

struct OpeningVerdict {
  Failure failure;                               // kNone: the websocket is open; kHttp, kHandshake
  std::optional<DeflateParameters> compression;  // what was agreed upon
  // Of kHttp:
  std::optional<double> retry_after;  // seconds (RFC 9110 10.2.3), never below 0
  std::string location;               // where to go instead, as it came (RFC 9110 15.4); empty: nowhere
};

// `now`: of the clock that dates are of. The failure's message names the host.
OpeningVerdict check_opening_answer(const ReceivedHead& head, const WebsocketUrl& url, const OpeningOptions& options,
                                    std::string_view key, std::time_t now);

}  // namespace websockets
