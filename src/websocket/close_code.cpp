// SPDX-License-Identifier: MIT
#include "websocket/close_code.h"

#include "websocket/protocol_error.h"
#include "websocket/utf8.h"

namespace websockets {

bool is_wire_close_code(unsigned code) {
  // RFC 6455 7.4.2: 3000 to 3999 are for libraries, 4000 to 4999 for private use.
  if (code >= 3000) {
    return code <= 4999;
  }
  // RFC 6455 7.4.1: 1004 has no meaning yet; 1005, 1006 and 1015 are for reports to the application only.
  // 1012 to 1014 were registered later.
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

ProtocolError parse_close_body(std::span<const std::uint8_t> bytes, CloseBody& body) {
  body = {};
  if (bytes.empty()) return ProtocolError::kNone;
  if (bytes.size() < 2) return ProtocolError::kCloseBodyTooShort;
  const unsigned code = (unsigned{bytes[0]} << 8U) | bytes[1];
  if (!is_wire_close_code(code)) return ProtocolError::kInvalidCloseCode;
  if (!is_valid_utf8(bytes.subspan(2))) return ProtocolError::kInvalidCloseReason;
  body = {static_cast<CloseCode>(code), bytes.subspan(2)};
  return ProtocolError::kNone;
}

}  // namespace websockets
