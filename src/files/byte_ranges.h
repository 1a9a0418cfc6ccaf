// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace websockets {

struct ByteRange {
  std::uint64_t first;
  std::uint64_t bytes;  // at least one
  bool operator==(const ByteRange&) const = default;
};

// What a Range header (RFC 9110 14.2) asks for of so many bytes.
struct RangeSelection {
  enum class Status {
    kWhole,          // all of it: the header is malformed, of another unit, or asks for more than is good
    kParts,          // 206
    kUnsatisfiable,  // 416
  };
  Status status = Status::kWhole;
  std::vector<ByteRange> ranges;  // of kParts: in the order asked for, without those behind the end
};

// More ranges than this, or ranges that overlap, are a way to make much of little (RFC 9110 14.2): the whole is sent.
constexpr std::size_t kMaxRanges = 16;

RangeSelection select_ranges(std::string_view header, std::uint64_t size);

// The value of Content-Range (RFC 9110 14.4), and that of a 416.
std::string content_range(const ByteRange& range, std::uint64_t size);
std::string unsatisfied_range(std::uint64_t size);

// What stands in front of a part of multipart/byteranges (RFC 9110 14.6), and behind the last one.
std::string range_part_head(std::string_view boundary, std::string_view content_type, const ByteRange& range,
                            std::uint64_t size);
std::string range_parts_end(std::string_view boundary);

}  // namespace websockets
