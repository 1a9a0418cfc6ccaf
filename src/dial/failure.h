// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace websockets {

// What kept a connection from being made, or ended it.
enum class FailureKind : std::uint8_t {
  kNone,
  kDns,          // the name has no address, or nobody could say so
  kRefused,      // nobody listens there
  kUnreachable,  // no way leads there
  kTimeout,      // Failure::phase says in what
  kTls,
  kProxy,      // a proxy refused, or spoke no sense
  kHttp,       // an answer that is none of a websocket: its status says why
  kHandshake,  // an answer that breaks RFC 6455 4.1
  kLost,       // it ended without a word
  kClosed,     // the peer closed it
  kCancelled,  // this side did
};

// How far an attempt had come.
enum class FailurePhase : std::uint8_t { kNone, kName, kTcp, kProxy, kTls, kHttp, kOpen };

// "dns", "refused"; "": kNone.
std::string_view name_of(FailureKind kind);
// "name", "tcp", "proxy", "tls", "http", "open"; "": kNone.
std::string_view name_of(FailurePhase phase);

// Why there is no connection. Holds no password and no userinfo of a URL.
struct Failure {
  FailureKind kind = FailureKind::kNone;
  FailurePhase phase = FailurePhase::kNone;
  std::string message;    // a sentence for a person, which names the host
  int code = 0;           // errno, where the system said why
  std::string address;    // the last one that was tried: "192.0.2.1:443"
  bool is_final = false;  // another attempt would fail in the same way: verification, a refusal by the server

  explicit operator bool() const { return kind != FailureKind::kNone; }
};

// "connection refused" and the like, with the kind that belongs to the errno of a connect() or of a connection.
Failure socket_failure(FailurePhase phase, const std::string& what, int code);

// Takes none.
Failure failure_without_memory(FailurePhase phase);

}  // namespace websockets
