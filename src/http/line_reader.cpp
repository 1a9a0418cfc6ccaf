// SPDX-License-Identifier: MIT
#include "http/line_reader.h"

#include <algorithm>
#include <cstring>

#include "base/http_text.h"

namespace websockets {

LineReader::Result LineReader::take_line(std::span<const std::uint8_t>& input, std::string& block,
                                         std::size_t limit_bytes) {
  const std::size_t available = std::min(input.size(), limit_bytes - block.size());
  // NOLINTNEXTLINE(bugprone-not-null-terminated-result): there is no terminator to find
  const void* const lf = available == 0 ? nullptr : std::memchr(input.data(), '\n', available);
  const std::size_t taken =
      lf == nullptr ? available : static_cast<std::size_t>(static_cast<const std::uint8_t*>(lf) - input.data()) + 1;
  block.append(reinterpret_cast<const char*>(input.data()), taken);
  input = input.subspan(taken);
  if (lf == nullptr) return block.size() == limit_bytes ? Result::kTooLong : Result::kMore;

  line_begin_ = line_end_;
  line_end_ = block.size();
  ++line_count_;
  const std::string_view whole = line(block);
  if (whole.size() < 2 || whole[whole.size() - 2] != '\r') return Result::kBareLf;
  return line_count_ > 1 && http_text::is_blank(whole.front()) ? Result::kFoldedLine : Result::kLine;
}

std::string_view LineReader::line(const std::string& block) const {
  return std::string_view(block).substr(line_begin_, line_end_ - line_begin_);
}

}  // namespace websockets
