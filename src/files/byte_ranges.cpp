// SPDX-License-Identifier: MIT
#include "files/byte_ranges.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <system_error>

#include "base/http_text.h"

namespace websockets {
namespace {

constexpr std::string_view kUnit = "bytes=";

// All digits; what is too large is as large as can be.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), http_text::is_digit)) return {};
  std::uint64_t number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() ? number : std::numeric_limits<std::uint64_t>::max();
}

// False: malformed. A range behind the end has no bytes.
bool parse_range(std::string_view text, std::uint64_t size, ByteRange& range) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return false;
  const std::string_view first_text = text.substr(0, dash);
  const std::string_view last_text = text.substr(dash + 1);
  const auto first = parse_number(first_text);
  const auto last = parse_number(last_text);
  if (first_text.empty()) {  // the last so many bytes
    if (!last) return false;
    range.bytes = std::min(*last, size);
    range.first = size - range.bytes;
    return true;
  }
  if (!first || (!last && !last_text.empty()) || (last && *last < *first)) return false;
  range.first = std::min(*first, size);
  range.bytes = last ? std::min(*last - *first, size) + 1 : size;
  range.bytes = std::min(range.bytes, size - range.first);
  return true;
}

bool have_overlaps(std::vector<ByteRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const ByteRange& a, const ByteRange& b) { return a.first < b.first; });
  return std::adjacent_find(ranges.begin(), ranges.end(), [](const ByteRange& a, const ByteRange& b) {
           return b.first < a.first + a.bytes;
         }) != ranges.end();
}

}  // namespace

RangeSelection select_ranges(std::string_view header, std::uint64_t size) {
  if (!http_text::equals_ignoring_case(header.substr(0, kUnit.size()), kUnit)) return {};
  std::string_view list = header.substr(kUnit.size());
  RangeSelection result;
  std::size_t count = 0;
  while (list.data() != nullptr) {
    const std::string_view element = http_text::take_list_element(list);
    if (element.empty()) continue;
    ByteRange range{};
    if (++count > kMaxRanges || !parse_range(element, size, range)) return {};
    if (range.bytes > 0) result.ranges.push_back(range);
  }
  if (count == 0 || have_overlaps(result.ranges)) return {};
  result.status = result.ranges.empty() ? RangeSelection::Status::kUnsatisfiable : RangeSelection::Status::kParts;
  return result;
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
  std::string text = "bytes ";
  text.append(std::to_string(range.first)).append("-").append(std::to_string(range.first + range.bytes - 1));
  return text.append("/").append(std::to_string(size));
}

std::string unsatisfied_range(std::uint64_t size) {
  std::string text = "bytes */";
  return text.append(std::to_string(size));
}

std::string range_part_head(std::string_view boundary, std::string_view content_type, const ByteRange& range,
                            std::uint64_t size) {
  std::string head = "\r\n--";
  head.append(boundary).append("\r\nContent-Type: ").append(content_type);
  return head.append("\r\nContent-Range: ").append(content_range(range, size)).append("\r\n\r\n");
}

std::string range_parts_end(std::string_view boundary) {
  std::string end = "\r\n--";
  return end.append(boundary).append("--\r\n");
}

}  // namespace websockets
