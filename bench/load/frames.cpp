// SPDX-License-Identifier: MIT
#include "frames.h"

#include <array>

namespace {

constexpr std::size_t kBufferBytes = 256U << 10U;
constexpr std::array<char, 4> kMask = {'\x37', '\xfa', '\x21', '\x3d'};

}  // namespace

FrameStream::FrameStream(std::size_t payload_bytes, bool is_text, bool is_masked) {
  std::string frame(1, is_text ? '\x81' : '\x82');
  const std::size_t mask_bit = is_masked ? 0x80 : 0;
  const std::size_t length_bytes = payload_bytes < 126 ? 0 : payload_bytes < 65536 ? 2 : 8;
  frame += static_cast<char>(mask_bit | (length_bytes == 0 ? payload_bytes : length_bytes == 2 ? 126U : 127U));
  for (std::size_t i = length_bytes; i-- > 0;) frame += static_cast<char>((payload_bytes >> (8 * i)) & 0xffU);
  if (is_masked) frame.append(kMask.data(), kMask.size());
  for (std::size_t i = 0; i < payload_bytes; ++i) {
    const auto byte = static_cast<unsigned char>('a' + (i % 26));
    frame += static_cast<char>(byte ^ (is_masked ? static_cast<unsigned char>(kMask[i % 4]) : 0U));
  }
  frame_bytes_ = frame.size();
  do bytes_ += frame;
  while (bytes_.size() + frame_bytes_ <= kBufferBytes);
}
