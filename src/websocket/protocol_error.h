// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "websocket/close_code.h"

namespace websockets {

// Everything a peer can do wrong once the connection is open. kNone is no error.
enum class ProtocolError : std::uint8_t {
  kNone,
  kReservedBits,            // RFC 6455 5.2
  kReservedOpcode,          // RFC 6455 5.2
  kUnmaskedFrame,           // RFC 6455 5.1: from a client
  kMaskedFrame,             // RFC 6455 5.1: from a server
  kNonMinimalLength,        // RFC 6455 5.2
  kLengthTopBit,            // RFC 6455 5.2
  kControlFrameTooLong,     // RFC 6455 5.5
  kControlFrameFragmented,  // RFC 6455 5.5
  kUnexpectedContinuation,  // RFC 6455 5.4
  kExpectedContinuation,    // RFC 6455 5.4
  kInvalidUtf8,             // RFC 6455 8.1
  kCloseBodyTooShort,       // RFC 6455 5.5.1: one byte cannot hold a code
  kInvalidCloseCode,        // RFC 6455 7.4
  kInvalidCloseReason,      // RFC 6455 5.5.1: not UTF-8
  kMessageTooBig,           // over the receiver's limit
  kInvalidCompression,      // RFC 7692 7.2.2: not deflate data, or not whole
  kWastefulCompression,     // far more than what it becomes: only good for burning CPU
  kTooManyFragments,        // fragments averaging under 16 bytes: only good for burning CPU
};

struct ProtocolErrorInfo {
  CloseCode close_code;   // what the Close frame that answers it carries
  std::string_view text;  // its reason, at most 123 bytes
};

// The one table of texts and codes. `error` must not be kNone.
const ProtocolErrorInfo& describe(ProtocolError error);

}  // namespace websockets
