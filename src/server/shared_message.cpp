// SPDX-License-Identifier: MIT
#include "server/shared_message.h"

#include <array>
#include <memory>
#include <vector>

namespace websockets {

const SharedFrame& SharedMessage::frame() {
  if (frame_ != nullptr) return frame_;
  FrameHeader header;
  header.opcode = opcode_;
  header.fin = true;
  header.payload_bytes = payload_.size();
  std::array<std::uint8_t, kMaxFrameHeaderBytes> encoded;
  const std::size_t header_bytes = encode_frame_header(header, encoded.data());
  auto frame = std::make_shared<std::vector<std::uint8_t>>();
  frame->reserve(header_bytes + payload_.size());
  frame->insert(frame->end(), encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(header_bytes));
  frame->insert(frame->end(), payload_.begin(), payload_.end());
  frame_ = std::move(frame);
  return frame_;
}

}  // namespace websockets
