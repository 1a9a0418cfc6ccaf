// SPDX-License-Identifier: MIT
#include "websocket/prepared_message.h"

#include <array>
#include <memory>
#include <utility>
#include <vector>

namespace websockets {
namespace {

struct CountedFrame {
  explicit CountedFrame(MemoryBudget& budget) : memory(budget) {}
  ~CountedFrame() { memory.remove(counted_bytes); }
  CountedFrame(const CountedFrame&) = delete;
  CountedFrame& operator=(const CountedFrame&) = delete;

  MemoryBudget& memory;
  std::size_t counted_bytes = 0;
  std::vector<std::uint8_t> bytes;
};

// Makes `frame` a shared one that is counted.
SharedFrame count_frame(std::vector<std::uint8_t> frame, MemoryBudget& memory) {
  auto counted = std::make_shared<CountedFrame>(memory);
  counted->bytes = std::move(frame);
  counted->counted_bytes = counted->bytes.capacity();
  memory.add(counted->counted_bytes);
  return {counted, &counted->bytes};
}

SharedFrame make_frame(MemoryBudget& memory, FrameHeader header, std::span<const std::uint8_t> payload) {
  header.fin = true;
  header.payload_bytes = payload.size();
  std::array<std::uint8_t, kMaxFrameHeaderBytes> encoded;
  const std::size_t header_bytes = encode_frame_header(header, encoded.data());
  std::vector<std::uint8_t> frame;
  frame.reserve(header_bytes + payload.size());
  frame.insert(frame.end(), encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(header_bytes));
  frame.insert(frame.end(), payload.begin(), payload.end());
  return count_frame(std::move(frame), memory);
}

}  // namespace

const PreparedMessage::Frame& PreparedMessage::compressed_for(MessageCompression& compression) {
  if (compressed_.empty()) compressed_.resize(kMaxWindowBits + 1);
  Frame& frame = compressed_[compression.window_bits()];
  if (frame.bytes == nullptr) frame = compressed(compression);
  return frame;
}

const PreparedMessage::Frame& PreparedMessage::plain() {
  if (plain_.bytes == nullptr) {
    FrameHeader header;
    header.opcode = opcode_;
    plain_.bytes = make_frame(memory_, header, payload_);
  }
  return plain_;
}

PreparedMessage::Frame PreparedMessage::compressed(MessageCompression& compression) {
  CompressionPool::Scratch bytes(compression.pool());
  if (!compression.compress_shared(payload_, *bytes)) return plain();
  FrameHeader header;
  header.opcode = opcode_;
  header.rsv1 = true;
  return {make_frame(memory_, header, bytes->bytes()), true};
}

}  // namespace websockets
