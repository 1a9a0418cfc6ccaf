// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// It begins with this byte: FIN and the opcode. A client's is masked.
std::string make_frame(unsigned char first, std::string_view payload, bool is_masked);

// An endless repetition of one frame, or of a sequence of frames that counts as one; taken from a buffer that holds a
// number of them.
class FrameStream {
 public:
  FrameStream(std::size_t payload_bytes, bool is_text, bool is_masked);
  explicit FrameStream(const std::string& frame);

  std::size_t frame_bytes() const { return frame_bytes_; }

  // What follows behind the first `position` bytes, in one piece as far as it goes.
  std::string_view at(std::uint64_t position, std::uint64_t most) const {
    const std::string_view bytes(bytes_);
    return bytes.substr(position % bytes.size(), most);
  }

 private:
  std::string bytes_;
  std::size_t frame_bytes_ = 0;
};

// What is sent on a connection, and what must come back.
struct Frames {
  Frames(std::size_t payload_bytes, bool is_text)
      : output(payload_bytes, is_text, true), input(payload_bytes, is_text, false) {}
  Frames(const std::string& output_frame, const std::string& input_frame) : output(output_frame), input(input_frame) {}

  const FrameStream output;
  const FrameStream input;
};
