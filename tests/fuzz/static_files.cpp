// SPDX-License-Identifier: MIT
// What decides which file, and which part of it, a request gets. The first line of the input is a target, the second a
// Range, the third an Accept-Encoding.
#include "base/http_text.h"
#include "files/byte_ranges.h"
#include "files/content_encodings.h"
#include "files/file_path.h"
#include "fuzz_support.h"
#include "http/url.h"

using namespace websockets;

namespace {

// It leads to a place below the root, by names that say what they mean.
void check_path(std::string_view target, bool shows_hidden) {
  const FilePath found = resolve_file_path(target, shows_hidden);
  if (found.status != 0) {
    EXPECT_TRUE(found.status == 400 || found.status == 404);
    return;
  }
  EXPECT_FALSE(found.path.starts_with('/') || found.path.ends_with('/'));
  EXPECT_TRUE(
      std::none_of(found.path.begin(), found.path.end(), [](char c) { return http_text::is_control(c) || c == '\\'; }));
  std::string_view rest = found.path;
  while (!rest.empty()) {
    const std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    EXPECT_FALSE(name.empty() || name == "." || name == "..");
    EXPECT_TRUE(shows_hidden || name.front() != '.' || found.path.starts_with(".well-known"));
  }
  const std::string reference = directory_reference(target);
  EXPECT_FALSE(reference.starts_with("//") || reference.starts_with("/\\")) << reference;
}

void check_ranges(std::string_view header, std::uint64_t size) {
  const RangeSelection selection = select_ranges(header, size);
  EXPECT_TRUE(unsatisfied_range(size).ends_with("*/" + std::to_string(size)));
  EXPECT_EQ(selection.ranges.empty(), selection.status != RangeSelection::Status::kParts);
  EXPECT_LE(selection.ranges.size(), kMaxRanges);
  std::uint64_t sum = 0;
  for (const ByteRange& range : selection.ranges) {
    EXPECT_GT(range.bytes, 0U);
    EXPECT_LE(range.bytes, size);
    EXPECT_LE(range.first, size - range.bytes);
    sum += range.bytes;
    EXPECT_NE(range_part_head("x", "text/plain", range, size).find(content_range(range, size) + "\r\n\r\n"),
              std::string::npos);
  }
  if (selection.ranges.size() > 1) EXPECT_EQ(range_parts_end("x"), "\r\n--x--\r\n");
  EXPECT_LE(sum, size);  // they do not overlap
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned flags = input.byte();
  const std::uint64_t file_bytes = input.below(5000);
  check_path(input.line(), (flags & 1U) != 0);
  check_ranges(input.line(), file_bytes);
  for (const ContentEncoding& encoding : accepted_encodings(input.line())) {
    EXPECT_TRUE(encoding.name == "br" || encoding.name == "gzip");
  }
  return 0;
}
