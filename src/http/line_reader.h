// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace websockets {

// Gathers a block of lines (a request head; a chunk's size with its trailers) from a stream split anywhere, so that it
// lies in one piece. What it refuses it refuses at the same byte, however the stream was split.
class LineReader {
 public:
  enum class Result {
    kMore,        // all input was taken, the line has no end yet
    kLine,        // line() is whole
    kTooLong,     // the block has reached `limit_bytes`, and this line has no end yet
    kBareLf,      // LF without CR (RFC 9112 2.2 lets it pass; two readers may then see two different heads)
    kFoldedLine,  // the line begins with a blank (RFC 9112 5.2: obs-fold)
  };

  // Moves bytes from `input` to the end of `block`, up to the end of a line.
  Result take_line(std::span<const std::uint8_t>& input, std::string& block, std::size_t limit_bytes);

  // The line last taken, its CR LF included; `block` as given to take_line().
  std::string_view line(const std::string& block) const;
  std::size_t line_count() const { return line_count_; }
  void reset() { *this = LineReader(); }

 private:
  std::size_t line_begin_ = 0;
  std::size_t line_end_ = 0;
  std::size_t line_count_ = 0;
};

}  // namespace websockets
