// SPDX-License-Identifier: MIT
#include "files/preconditions.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/request_parser.h"

namespace websockets {
namespace {

constexpr std::time_t kModified = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr std::time_t kNow = kModified + 1000;
constexpr std::string_view kEarlier = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr std::string_view kThen = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view kLater = "Sun, 06 Nov 1994 08:49:38 GMT";

Validators validators() {
  Validators result;
  result.etag = "\"x\"";
  result.modified = kModified;
  return result;
}

// Of a request with these header lines.
template <typename Check>
auto with_request(const std::string& lines, Check check) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  text.append(lines).append("\r\n");
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  std::span<const std::uint8_t> input(bytes);
  RequestParser parser(RequestLimits{});
  EXPECT_EQ(parser.consume(input), RequestParser::Status::kHead);
  return check(parser.request());
}

Precondition checked(const std::string& lines) {
  return with_request(lines, [](const Request& request) { return check_preconditions(request, validators(), kNow); });
}

bool is_current(const std::string& value, std::time_t now = kNow) {
  return with_request("If-Range: " + value + "\r\n",
                      [&](const Request& request) { return range_is_current(request, validators(), now); });
}

std::string line(std::string_view name, std::string_view value) {
  return std::string(name).append(": ").append(value).append("\r\n");
}

TEST(StaticConditions, HoldWhenThereAreNone) { EXPECT_EQ(checked(""), Precondition::kHolds); }

TEST(StaticConditions, IfNoneMatchComparesWeakly) {
  for (const std::string_view value : {"\"x\"", "W/\"x\"", "*", "\"a\",\"x\"", "\"a,b\" , W/\"x\"", " \"x\" "}) {
    EXPECT_EQ(checked(line("If-None-Match", value)), Precondition::kNotModified) << value;
  }
  for (const std::string_view value : {"\"a\"", "x", "\"x", "w/\"x\"", "\"a\" x", "\"\"", "**", ""}) {
    EXPECT_EQ(checked(line("If-None-Match", value)), Precondition::kHolds) << value;
  }
}

TEST(StaticConditions, IfMatchComparesStrongly) {
  for (const std::string_view value : {"\"x\"", "*", "W/\"x\", \"x\""}) {
    EXPECT_EQ(checked(line("If-Match", value)), Precondition::kHolds) << value;
  }
  for (const std::string_view value : {"W/\"x\"", "\"a\"", "x", ""}) {
    EXPECT_EQ(checked(line("If-Match", value)), Precondition::kFailed) << value;
  }
}

TEST(StaticConditions, DatesCompareToTheSecond) {
  EXPECT_EQ(checked(line("If-Modified-Since", kEarlier)), Precondition::kHolds);
  EXPECT_EQ(checked(line("If-Modified-Since", kThen)), Precondition::kNotModified);
  EXPECT_EQ(checked(line("If-Modified-Since", kLater)), Precondition::kNotModified);
  EXPECT_EQ(checked(line("If-Unmodified-Since", kEarlier)), Precondition::kFailed);
  EXPECT_EQ(checked(line("If-Unmodified-Since", kThen)), Precondition::kHolds);
  EXPECT_EQ(checked(line("If-Modified-Since", "yesterday")), Precondition::kHolds);
  EXPECT_EQ(checked(line("If-Unmodified-Since", "yesterday")), Precondition::kHolds);
}

TEST(StaticConditions, ComeInTheOrderOfTheRfc) {
  const std::string matches = line("If-Match", "\"x\"");
  const std::string differs = line("If-Match", "\"a\"");
  EXPECT_EQ(checked(matches + line("If-Unmodified-Since", kEarlier)), Precondition::kHolds);
  EXPECT_EQ(checked(differs + line("If-None-Match", "*")), Precondition::kFailed);
  EXPECT_EQ(checked(matches + line("If-None-Match", "*")), Precondition::kNotModified);
  EXPECT_EQ(checked(line("If-None-Match", "\"a\"") + line("If-Modified-Since", kLater)), Precondition::kHolds);
  EXPECT_EQ(checked(line("If-Unmodified-Since", kEarlier) + line("If-None-Match", "*")), Precondition::kFailed);
}

TEST(StaticConditions, IfRangeComparesStrongly) {
  EXPECT_TRUE(is_current("\"x\""));
  EXPECT_TRUE(is_current(std::string(kThen)));
  for (const std::string& value : {std::string("\"a\""), std::string("W/\"x\""), std::string("\"x\", \"a\""),
                                   std::string(kEarlier), std::string(kLater), std::string("*"), std::string()}) {
    EXPECT_FALSE(is_current(value)) << value;
  }
  EXPECT_FALSE(is_current(std::string(kThen), kModified));  // may change within this second
  EXPECT_TRUE(with_request("", [](const Request& request) { return range_is_current(request, validators(), kNow); }));
}

TEST(StaticConditions, ValidatorsDifferWithWhatTheyAreMadeFrom) {
  const std::string etag = make_validators(1, 2, 3, 4).etag;
  EXPECT_EQ(etag, "\"3b9aca02-3-4\"");
  for (const Validators& other : {make_validators(2, 2, 3, 4), make_validators(1, 3, 3, 4), make_validators(1, 2, 4, 4),
                                  make_validators(1, 2, 3, 5), make_validators(-1, 2, 3, 4)}) {
    EXPECT_NE(other.etag, etag);
  }
}

}  // namespace
}  // namespace websockets
