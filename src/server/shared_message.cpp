// SPDX-License-Identifier: MIT
#include "server/shared_message.h"

#include <array>
#include <memory>

namespace websockets {
namespace {

SharedFrame make_frame(FrameHeader header, std::span<const std::uint8_t> payload) {
  header.fin = true;
  header.payload_bytes = payload.size();
  std::array<std::uint8_t, kMaxFrameHeaderBytes> encoded;
  const std::size_t header_bytes = encode_frame_header(header, encoded.data());
  auto frame = std::make_shared<std::vector<std::uint8_t>>();
  frame->reserve(header_bytes + payload.size());
  frame->insert(frame->end(), encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(header_bytes));
  frame->insert(frame->end(), payload.begin(), payload.end());
  return frame;
}

}  // namespace

const SharedMessage::Form& SharedMessage::form_for(MessageCompression* compression) {
  if (compression == nullptr) return plain();
  if (compressed_.empty()) compressed_.resize(kMaxWindowBits + 1);
  Form& form = compressed_[compression->window_bits()];
  if (form.frame == nullptr) form = compressed(*compression);
  return form;
}

const SharedMessage::Form& SharedMessage::plain() {
  if (plain_.frame == nullptr) {
    FrameHeader header;
    header.opcode = opcode_;
    plain_.frame = make_frame(header, payload_);
  }
  return plain_;
}

SharedMessage::Form SharedMessage::compressed(MessageCompression& compression) {
  CompressionPool::Scratch bytes(compression.pool());
  if (!compression.compress_shared(payload_, *bytes)) return plain();
  FrameHeader header;
  header.opcode = opcode_;
  header.rsv1 = true;
  return {make_frame(header, bytes->bytes()), true};
}

}  // namespace websockets
