// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

namespace websockets {

enum class ProtocolError : std::uint8_t;

// The codes of RFC 6455 7.4.1 and the IANA registry that the library itself uses or exports.
enum class CloseCode : std::uint16_t {
  kNone = 0,  // no code given: the Close frame has no body
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupportedData = 1003,
  kNoStatus = 1005,  // never on the wire: the peer's Close frame had no code
  kAbnormal = 1006,  // never on the wire: the connection was lost
  kInvalidPayload = 1007,
  kPolicyViolation = 1008,
  kMessageTooBig = 1009,
  kMandatoryExtension = 1010,
  kInternalError = 1011,
  kServiceRestart = 1012,
  kTryAgainLater = 1013,
  kBadGateway = 1014,
  kTlsHandshake = 1015,  // never on the wire
};

// Whether `code` may stand in a Close frame, sent or received (RFC 6455 7.4.2): the codes registered
// for the wire, and 3000 to 4999.
bool is_wire_close_code(unsigned code);

// What the body of a Close frame says (RFC 6455 5.5.1): `code` kNoStatus when it is empty.
struct CloseBody {
  CloseCode code = CloseCode::kNoStatus;
  std::span<const std::uint8_t> reason{};
};
ProtocolError parse_close_body(std::span<const std::uint8_t> bytes, CloseBody& body);

}  // namespace websockets
