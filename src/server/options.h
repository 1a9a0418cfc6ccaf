// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "http/request_parser.h"
#include "net/address_list.h"
#include "net/listener.h"
#include "net/tls_server_context.h"
#include "websocket/keepalive.h"
#include "websocket/message_compression.h"
#include "websocket/message_rates.h"
#include "websocket/message_reader.h"

namespace websockets {

// What a context is made from. Checked by whoever fills it in.
struct ContextOptions {
  std::uint16_t port = 0;           // 0: listen on nothing
  std::string interface;            // a name ("eth0") or a literal address; "": all
  std::vector<std::string> listen;  // further places: see listen_at()
  ListenOptions listen_options;
  std::size_t workers = 0;   // that will accept: see Listeners; 0: it is not known yet, or there will be none
  std::optional<uid_t> uid;  // what to become once everything is opened
  std::optional<gid_t> gid;
  std::vector<std::string> protocols;               // the subprotocols that are served
  std::string default_protocol;                     // for clients that ask for none; "": the only one there is
  ReceiveRules rules;                               // but for `partial_messages`, which the context adds
  std::optional<CompressionOptions> compression;    // none: permessage-deflate is not negotiated
  RequestLimits request_limits;                     // but for `contents`, which the context adds
  std::size_t max_body_memory_bytes = 64U << 20U;   // of the contents of all requests
  std::size_t max_backpressure_bytes = 16U << 20U;  // what may wait to be sent on one connection
  std::uint64_t handshake_timeout_ms = 10'000;      // for the head of a request to arrive in full
  std::uint64_t body_timeout_ms = 30'000;           // for more of its content: see HttpExchange
  std::uint64_t keepalive_timeout_ms = 75'000;      // for the next request to begin
  std::uint64_t answer_timeout_ms = 120'000;        // for an answer that was deferred
  std::vector<std::string> origins;           // with checks_origins: see matches_origin(); who sends none is let in
  AddressList trusted_proxies;                // may say who their clients are
  std::uint64_t upgrade_timeout_ms = 10'000;  // for the answer to on_upgrade
  std::uint64_t send_timeout_ms = 60'000;   // for an HTTP client to take more of its answer, from the last byte it took
  std::uint64_t close_timeout_ms = 10'000;  // for the peer to end a closing connection, from the last byte it took
  KeepaliveRules keepalive;                 // of websockets
  std::size_t max_memory_bytes = 0;         // that wait for all connections together; 0: any number
  std::size_t max_connections = 0;          // 0: any number
  std::size_t max_connections_per_address = 0;
  std::uint64_t fork_busy_timeout_ms = 5'000;  // how long a broadcast waits for a forked process that takes nothing
  TlsOptions tls;
  MessageRate max_message_rate;
  bool drops_when_full = false;  // a broadcast that has no room: it is left out; else the connection is closed, 1013
  bool checks_origins = false;   // else any may ask for a websocket
  bool expects_proxy_header = false;   // in front of everything that trusted_proxies send
  bool reports_refusals = false;       // on_refused is called
  bool asks_before_upgrade = false;    // on_upgrade is called
  bool announces_descriptors = false;  // to the handler, for an outer loop
  bool announces_one = false;          // then: one that stands for all
  std::string driver;                  // "epoll", "poll"; "": the best one
};

}  // namespace websockets
