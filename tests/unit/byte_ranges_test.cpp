// SPDX-License-Identifier: MIT
#include "files/byte_ranges.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>

namespace websockets {
namespace {

using Status = RangeSelection::Status;

std::string selected(std::string_view header, std::uint64_t size) {
  const RangeSelection selection = select_ranges(header, size);
  if (selection.status == Status::kWhole) return "whole";
  if (selection.status == Status::kUnsatisfiable) return "unsatisfiable";
  std::string text;
  for (const ByteRange& range : selection.ranges) {
    text.append(std::to_string(range.first)).append("+").append(std::to_string(range.bytes)).append(" ");
  }
  return text;
}

TEST(StaticRanges, SelectsParts) {
  EXPECT_EQ(selected("bytes=0-0", 10), "0+1 ");
  EXPECT_EQ(selected("bytes=9-9", 10), "9+1 ");
  EXPECT_EQ(selected("bytes=3-", 10), "3+7 ");
  EXPECT_EQ(selected("bytes=3-1000", 10), "3+7 ");
  EXPECT_EQ(selected("bytes=-3", 10), "7+3 ");
  EXPECT_EQ(selected("bytes=-30", 10), "0+10 ");
  EXPECT_EQ(selected("Bytes=, 0-0,\t5-6 ,,-1", 10), "0+1 5+2 9+1 ");
  EXPECT_EQ(selected("bytes=0-0,10-,-0", 10), "0+1 ");
  EXPECT_EQ(selected("bytes=0-4,5-9", 10), "0+5 5+5 ");
}

TEST(StaticRanges, TakesAnyNumbers) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(selected("bytes=0-18446744073709551615", 10), "0+10 ");
  EXPECT_EQ(selected("bytes=5-999999999999999999999999", 10), "5+5 ");
  EXPECT_EQ(selected("bytes=999999999999999999999999-", 10), "unsatisfiable");
  EXPECT_EQ(selected("bytes=-999999999999999999999999", 10), "0+10 ");
  EXPECT_EQ(selected("bytes=1-", kMost), "1+18446744073709551614 ");
  EXPECT_EQ(selected("bytes=18446744073709551614-18446744073709551614", kMost), "18446744073709551614+1 ");
}

TEST(StaticRanges, AreUnsatisfiableBehindTheEnd) {
  for (const std::string_view header : {"bytes=10-", "bytes=10-10", "bytes=-0", "bytes=10-,11-12,-0"}) {
    EXPECT_EQ(selected(header, 10), "unsatisfiable") << header;
  }
  for (const std::string_view header : {"bytes=0-", "bytes=0-0", "bytes=-1"}) {
    EXPECT_EQ(selected(header, 0), "unsatisfiable") << header;
  }
}

TEST(StaticRanges, SelectsTheWholeWhenMalformedOrTooMuch) {
  for (const std::string_view header :
       {"", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=1", "bytes=2-1", "bytes=1-2x", "bytes=--1",
        "items=0-1", "bytes=0-0,x", "bytes =0-1", "bytes=0-,0-", "bytes=0-5,5-9", "bytes=-1,9-9", "bytes=4-6,0-4"}) {
    EXPECT_EQ(selected(header, 10), "whole") << header;
  }
  std::string many = "bytes=";
  for (std::size_t i = 0; i < kMaxRanges; ++i)
    many.append(std::to_string(2 * i)).append("-").append(std::to_string(2 * i)).append(",");
  EXPECT_EQ(select_ranges(many, 1000).ranges.size(), kMaxRanges);
  EXPECT_EQ(selected(many + "999-999", 1000), "whole");
  EXPECT_EQ(selected(many + "1000-", 1000), "whole");
}

TEST(StaticRanges, AreWrittenAsTheRfcSays) {
  EXPECT_EQ(content_range({5, 10}, 1234), "bytes 5-14/1234");
  EXPECT_EQ(unsatisfied_range(1234), "bytes */1234");
  EXPECT_EQ(range_part_head("B", "a/b", {0, 1}, 2),
            "\r\n--B\r\nContent-Type: a/b\r\nContent-Range: bytes 0-0/2\r\n\r\n");
  EXPECT_EQ(range_parts_end("B"), "\r\n--B--\r\n");
}

}  // namespace
}  // namespace websockets
