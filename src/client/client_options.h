// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "client/opening_handshake.h"
#include "dial/proxy_choice.h"
#include "dial/retry_policy.h"
#include "net/socket_address.h"
#include "net/tls_client_context.h"
#include "websocket/keepalive.h"
#include "websocket/message_compression.h"

namespace websockets {

// What a client is made from. Checked by whoever fills it in.
struct ClientOptions {
  // --- The opening request ---

  std::string url;          // see parse_websocket_url()
  bool asks_owner = false;  // ClientHandler::on_attempt() is called before each attempt, for the URL and headers
  OpeningOptions opening;   // good by check_opening_options(); but for `compression`, which is added
  std::optional<CompressionOptions> compression;  // none: permessage-deflate is not offered
  unsigned redirects = 0;                         // followed at most

  // --- Where it leads ---

  enum class ProxyUse : std::uint8_t { kEnvironment, kNone, kGiven };
  ProxyUse proxy_use = ProxyUse::kEnvironment;
  Proxy proxy;                           // of kGiven
  std::string unix_path;                 // of a socket that takes the place of the URL's host; "": none
  std::optional<SocketAddress> address;  // likewise; port 0: the URL's
  std::string interface;                 // by whose address it connects: a name ("eth0") or a literal address; "": any
  TlsClientOptions tls;

  // --- Times and limits ---

  std::uint64_t connect_timeout_ms = 30'000;  // from the call, or the beginning of a later attempt, to the opening
  KeepaliveRules keepalive;
  std::uint64_t close_timeout_ms = 10'000;          // for the peer's Close frame, from the last byte that it took
  std::uint64_t max_message_bytes = 16U << 20U;     // that is received
  bool check_utf8 = true;                           // of text that is received
  std::size_t max_backpressure_bytes = 16U << 20U;  // what may wait to be sent, before the first opening, too
  std::optional<RetryOptions> reconnect;            // none: the first end is the last one
};

}  // namespace websockets
