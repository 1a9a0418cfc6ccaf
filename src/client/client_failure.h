// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>

#include "dial/failure.h"
#include "http/received_head.h"
#include "websocket/close_code.h"

namespace websockets {

// Why a client is not open, or not any more. Beside what Failure says:
//
// kClosed: the peer has sent a Close frame; or this side had to, since the peer broke the protocol, or the owner's code
//   failed. `close_code` says what, `message` who.
// kTimeout in phase kOpen: the peer fell silent, or did not answer the Close frame.
struct ClientFailure : Failure {
  ClientFailure() = default;
  explicit ClientFailure(Failure failure) : Failure(std::move(failure)) {}

  CloseCode close_code = CloseCode::kNone;  // of kClosed

  // Of kHttp: the server's answer, and its body, up to 64 KiB.
  ReceivedHead answer;
  std::string body;
};

}  // namespace websockets
