// SPDX-License-Identifier: MIT
#include "websocket/protocol_error.h"

#include <array>
#include <cstddef>

namespace websockets {

namespace {

constexpr std::size_t kErrorCount = static_cast<std::size_t>(ProtocolError::kTooManyFragments) + 1;

// In the order of ProtocolError.
constexpr std::array<ProtocolErrorInfo, kErrorCount> kInfos = {{
    {CloseCode::kNone, ""},
    {CloseCode::kProtocolError, "a reserved bit of a frame is set, but no extension uses it there"},
    {CloseCode::kProtocolError, "a frame has a reserved opcode"},
    {CloseCode::kProtocolError, "a client must mask its frames"},
    {CloseCode::kProtocolError, "a server must not mask its frames"},
    {CloseCode::kProtocolError, "the length of a frame is not in its shortest form"},
    {CloseCode::kProtocolError, "the length of a frame has its topmost bit set"},
    {CloseCode::kProtocolError, "a control frame has more than 125 bytes"},
    {CloseCode::kProtocolError, "a control frame must not be fragmented"},
    {CloseCode::kProtocolError, "a continuation frame came, but no message is under way"},
    {CloseCode::kProtocolError, "a new message began before the fragmented one was complete"},
    {CloseCode::kInvalidPayload, "a text message is not UTF-8"},
    {CloseCode::kProtocolError, "the body of a Close frame has one byte, which cannot hold a code"},
    {CloseCode::kProtocolError, "the code of a Close frame is not one that may be sent"},
    {CloseCode::kInvalidPayload, "the reason in a Close frame is not UTF-8"},
    {CloseCode::kMessageTooBig, "the message is larger than the limit"},
    {CloseCode::kInvalidPayload, "a compressed message is not valid deflate data"},
    {CloseCode::kPolicyViolation, "a compressed message is much larger than what it becomes"},
    {CloseCode::kPolicyViolation, "the message consists of too many tiny fragments"},
}};

consteval bool all_texts_fit() {
  for (const ProtocolErrorInfo& info : kInfos) {
    if (info.text.size() > 123) {
      return false;
    }
  }
  return !kInfos.back().text.empty();
}
static_assert(all_texts_fit(), "RFC 6455 5.5: a Close frame has room for 123 bytes of reason");

}  // namespace

const ProtocolErrorInfo& describe(ProtocolError error) { return kInfos[static_cast<std::size_t>(error)]; }

}  // namespace websockets
