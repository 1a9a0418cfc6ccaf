// SPDX-License-Identifier: MIT
#include "http/http_date.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

#include "http/response.h"

namespace websockets {
namespace {

constexpr std::time_t kTime = 784111777;
constexpr std::time_t kNow = 1600000000;  // 2020

TEST(HttpDateParser, ReadsTheThreeFormatsOfTheRfc) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow), kTime);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow), kTime);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994", kNow), kTime);
  EXPECT_EQ(parse_http_date("Wed Nov 16 08:49:37 1994", kNow), kTime + 10 * 86400);
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT", kNow), 0);
  EXPECT_EQ(parse_http_date("Wed, 31 Dec 1969 23:59:59 GMT", kNow), -1);
  EXPECT_EQ(parse_http_date("Tue, 29 Feb 2000 23:59:60 GMT", kNow), 951868800);
}

TEST(HttpDateParser, TakesAYearOfTwoDigitsForTheOneThatIsNear) {
  const auto year = [](std::string_view digits, std::time_t now) {
    const auto time = parse_http_date(std::string("Monday, 01-Jan-").append(digits).append(" 00:00:00 GMT"), now);
    return http_date(time.value_or(0)).substr(12, 4);
  };
  EXPECT_EQ(year("20", kNow), "2020");
  EXPECT_EQ(year("70", kNow), "2070");
  EXPECT_EQ(year("71", kNow), "1971");
  EXPECT_EQ(year("99", 946684799), "1999");
}

TEST(HttpDateParser, RefusesAnythingElse) {
  for (const std::string_view text : {"",
                                      "Sun",
                                      "0",
                                      "784111777",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ",
                                      " Sun, 06 Nov 1994 08:49:37 GMT",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 94 08:49:37 GMT",
                                      "Sun, 06 nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 8:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:00:00 GMT",
                                      "Sun, 06 Nov 1994 08:60:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:61 GMT",
                                      "Sun, 31 Nov 1994 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Mon, 29 Feb 1999 00:00:00 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 CET",
                                      "Sun, -6 Nov 1994 08:49:37 GMT",
                                      "Xyz, 06 Nov 1994 08:49:37 GMT",
                                      "Sun Nov 06 08:49:37 94",
                                      "Sunday, 06-Nov-1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMT\n"}) {
    EXPECT_FALSE(parse_http_date(text, kNow)) << text;
  }
}

TEST(HttpDateParser, ReadsWhatIsWritten) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::time_t> times(-62167219200, 253402300799);  // the years 0 to 9999
  for (int i = 0; i < 1000; ++i) {
    const std::time_t time = times(random);
    EXPECT_EQ(parse_http_date(http_date(time), kNow), time) << http_date(time);
  }
}

}  // namespace
}  // namespace websockets
