// SPDX-License-Identifier: MIT
#include "websocket/message_batch.h"

#include <algorithm>
#include <cstring>

#include "websocket/mask.h"
#include "websocket/utf8.h"

namespace websockets {

namespace {

constexpr std::uint8_t kOnlyTextFrame = 0x81;  // FIN and the opcode
constexpr std::uint8_t kOnlyBinaryFrame = 0x82;
constexpr std::uint8_t kMaskBit = 0x80;
constexpr std::uint64_t kMaxShortPayloadBytes = 125;

}  // namespace

bool is_invalid_utf8_text(MessageType type, std::span<const std::uint8_t> payload, const ReceiveRules& rules) {
  return type == MessageType::kText && rules.check_utf8 && !is_valid_utf8(payload);
}

// Most messages are one short frame, and many of them lie in one input. What parse_frame_header() and check_header()
// say about such a frame is known from its first two bytes. Stops in front of the first frame of another kind.
bool MessageBatch::find_next() {
  if (source_ == nullptr || source_->chunk_mode || taken_ >= most_) {
    return false;
  }
  std::span<std::uint8_t>& input = source_->input;
  const ReceiveRules& rules = source_->rules;
  const std::size_t header_bytes = rules.expect_masked ? 6 : 2;
  if (input.size() < header_bytes || (input[0] != kOnlyTextFrame && input[0] != kOnlyBinaryFrame)) {
    return false;
  }
  // Without the mask bit where it must be, or with it where it must not, this is more than any length.
  const std::size_t payload_bytes = std::size_t{input[1]} - (rules.expect_masked ? kMaskBit : 0);
  const std::uint64_t max_payload_bytes = std::min(kMaxShortPayloadBytes, rules.max_message_bytes);
  if (payload_bytes > max_payload_bytes || payload_bytes > input.size() - header_bytes) {
    return false;
  }
  next_.type = input[0] == kOnlyTextFrame ? MessageType::kText : MessageType::kBinary;
  const std::span<std::uint8_t> payload = input.subspan(header_bytes, payload_bytes);
  if (rules.expect_masked) {
    std::uint32_t mask_key;
    std::memcpy(&mask_key, input.data() + 2, sizeof(mask_key));
    apply_mask(payload, mask_key, 0);
  }
  input = input.subspan(header_bytes + payload_bytes);
  if (is_invalid_utf8_text(next_.type, payload, rules)) {
    error_ = ProtocolError::kInvalidUtf8;
    input = {};
    return false;
  }
  next_.payload = payload;
  has_next_ = true;
  return true;
}

}  // namespace websockets
