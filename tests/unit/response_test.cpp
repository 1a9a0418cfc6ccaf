// SPDX-License-Identifier: MIT
#include "http/response.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <random>
#include <string>
#include <string_view>

namespace websockets {
namespace {

constexpr std::time_t kNow = 784111777;

TEST(ReasonPhrase, KnowsWhatIsRegistered) {
  EXPECT_EQ(reason_phrase(100), "Continue");
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(404), "Not Found");
  EXPECT_EQ(reason_phrase(511), "Network Authentication Required");
  for (const int status : {-1, 0, 99, 104, 299, 418, 512, 599, 1000}) EXPECT_EQ(reason_phrase(status), "") << status;
}

TEST(HttpDate, IsThatOfTheRfc) {
  EXPECT_EQ(http_date(kNow), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(http_date(951782399), "Mon, 28 Feb 2000 23:59:59 GMT");
  EXPECT_EQ(http_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(http_date(4107542400), "Mon, 01 Mar 2100 00:00:00 GMT");
}

TEST(HttpDate, HasFourDigitsForTheYearWhateverTheTime) {
  EXPECT_EQ(http_date(std::numeric_limits<std::time_t>::max()), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(http_date(std::numeric_limits<std::time_t>::min()), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(HttpDate, AgreesWithTheCLibrary) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::time_t> times(-30000000000, 250000000000);
  for (int i = 0; i < 2000; ++i) {
    const std::time_t time = times(random);
    std::tm fields{};
    ASSERT_NE(gmtime_r(&time, &fields), nullptr);
    std::array<char, 64> text;
    ASSERT_NE(std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &fields), 0U);
    EXPECT_EQ(http_date(time), text.data());
  }
}

TEST(SerializeHead, WritesDateAndLength) {
  EXPECT_EQ(serialize_head({.content_type = "text/plain", .content_length = 12}, kNow),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n"
            "Content-Length: 12\r\n\r\n");
  EXPECT_EQ(serialize_head({.status = 404, .content_length = std::numeric_limits<std::uint64_t>::max()}, kNow),
            "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Length: 18446744073709551615\r\n\r\n");
}

TEST(SerializeHead, WritesNoLengthWhereThereIsNoContent) {
  EXPECT_EQ(serialize_head({.status = 204, .content_length = 3}, kNow),
            "HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
  EXPECT_EQ(serialize_head({.status = 304}, kNow),
            "HTTP/1.1 304 Not Modified\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
  EXPECT_EQ(serialize_head({.status = 100}, kNow), "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST(SerializeHead, SaysWhatBecomesOfTheConnection) {
  const auto has = [](const ResponseHead& head, std::string_view line) {
    return serialize_head(head, kNow).find(line) != std::string::npos;
  };
  EXPECT_FALSE(has({}, "Connection"));
  EXPECT_TRUE(has({.keep_alive = false}, "\r\nConnection: close\r\n"));
  EXPECT_TRUE(has({.keep_alive = false, .http_1_0 = true}, "\r\nConnection: close\r\n"));
  EXPECT_TRUE(has({.http_1_0 = true}, "\r\nConnection: keep-alive\r\n"));
}

TEST(SerializeHead, AppendsFurtherHeaders) {
  EXPECT_EQ(serialize_head({.status = 299, .headers = {{"A", "b"}, {"A", ""}}}, kNow),
            "HTTP/1.1 299 \r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\nA: b\r\nA: \r\n\r\n");
}

TEST(IsValidHeader, KeepsHeadersApart) {
  EXPECT_TRUE(is_valid_header("X-a1!#$%&'*+-.^_`|~", ""));
  EXPECT_TRUE(is_valid_header("A", "b; c=\"d\"\t\xc3\xa4"));
  for (const char* name : {"", "A B", "A:", "A\r", "A\n", "\xc3\xa4", "(A)", "A\t"}) {
    EXPECT_FALSE(is_valid_header(name, "")) << name;
  }
  EXPECT_FALSE(is_valid_header(std::string_view("A\0", 2), ""));
  for (const char* value : {"\r", "a\nB: c", "a\r\nB: c", "\n", "\x1b[2J", "\x7f"}) {
    EXPECT_FALSE(is_valid_header("A", value)) << value;
  }
  EXPECT_FALSE(is_valid_header("A", std::string_view("a\0b", 3)));
}

TEST(SerializeSwitchingProtocols, IsTheAnswerOfTheRfc) {
  EXPECT_EQ(serialize_switching_protocols("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "chat"),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
  EXPECT_EQ(serialize_switching_protocols("x", "").find("Subprotocol:"), std::string::npos);
}

}  // namespace
}  // namespace websockets
