// SPDX-License-Identifier: MIT
#include "frames.h"

#include <array>

namespace {

constexpr std::size_t kBufferBytes = 256U << 10U;
constexpr std::array<char, 4> kMask = {'\x37', '\xfa', '\x21', '\x3d'};

std::string letters(std::size_t count) {
  std::string result(count, ' ');
  for (std::size_t i = 0; i < count; ++i) result[i] = static_cast<char>('a' + (i % 26));
  return result;
}

}  // namespace

std::string make_frame(unsigned char first, std::string_view payload, bool is_masked) {
  const std::size_t size = payload.size();
  const std::size_t mask_bit = is_masked ? 0x80 : 0;
  const std::size_t length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
  std::string frame(1, static_cast<char>(first));
  frame += static_cast<char>(mask_bit | (length_bytes == 0 ? size : length_bytes == 2 ? 126U : 127U));
  for (std::size_t i = length_bytes; i-- > 0;) frame += static_cast<char>((size >> (8 * i)) & 0xffU);
  if (!is_masked) return frame.append(payload);
  frame.append(kMask.data(), kMask.size());
  for (std::size_t i = 0; i < size; ++i) frame += static_cast<char>(payload[i] ^ kMask[i % kMask.size()]);
  return frame;
}

FrameStream::FrameStream(std::size_t payload_bytes, bool is_text, bool is_masked)
    : FrameStream(make_frame(is_text ? 0x81 : 0x82, letters(payload_bytes), is_masked)) {}

FrameStream::FrameStream(const std::string& frame) : frame_bytes_(frame.size()) {
  do bytes_ += frame;
  while (bytes_.size() + frame_bytes_ <= kBufferBytes);
}
