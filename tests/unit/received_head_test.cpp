// SPDX-License-Identifier: MIT
#include "http/received_head.h"

#include <gtest/gtest.h>

#include <string>

namespace websockets {
namespace {

const ReceivedHead kHead("HTTP/1.0 404 Not Found\r\nServer: a\r\nVia: b\r\nX-Empty:\r\nvia: \t c:d \t\r\nX:e\r\n\r\n");

TEST(ReceivedHeadTest, ReadsTheStatusLine) {
  EXPECT_EQ(kHead.status(), 404);
  EXPECT_EQ(kHead.minor_version(), 0);
  EXPECT_EQ(kHead.reason(), "Not Found");
  const ReceivedHead plain("HTTP/1.1 101 \r\n\r\n");
  EXPECT_EQ(plain.status(), 101);
  EXPECT_EQ(plain.minor_version(), 1);
  EXPECT_EQ(plain.reason(), "");
  EXPECT_EQ(plain.count("Server"), 0U);
}

TEST(ReceivedHeadTest, FindsHeadersWithoutCase) {
  EXPECT_EQ(kHead.header("SERVER"), "a");
  EXPECT_EQ(kHead.header("VIA"), "b");
  EXPECT_EQ(kHead.header("x-empty"), "");
  EXPECT_EQ(kHead.header("Serve"), "");
  EXPECT_EQ(kHead.count("Via"), 2U);
  EXPECT_EQ(kHead.count("X-Empty"), 1U);
  EXPECT_EQ(kHead.count("HTTP/1.0 404 Not Found"), 0U);
  EXPECT_EQ(kHead.joined("via"), "b, c:d");
  EXPECT_EQ(kHead.joined("x-empty"), "");
  EXPECT_EQ(kHead.joined("Y"), "");
}

TEST(ReceivedHeadTest, WalksHeadersInOrder) {
  HeaderLines lines = kHead.headers();
  std::string_view name;
  std::string_view value;
  std::string all;
  while (lines.next(name, value)) all.append(name).append("=").append(value).append("\n");
  EXPECT_EQ(all, "Server=a\nVia=b\nX-Empty=\nvia=c:d\nX=e\n");
  EXPECT_FALSE(lines.next(name, value));
}

TEST(ReceivedHeadTest, MayBeNone) {
  const ReceivedHead none;
  EXPECT_EQ(none.status(), 0);
  EXPECT_EQ(none.minor_version(), 1);
  EXPECT_EQ(none.reason(), "");
  EXPECT_EQ(none.header("Via"), "");
}

// With its allocation a head of 200 bytes takes 240.
TEST(ReceivedHeadTest, IsSmall) { EXPECT_LE(sizeof(ReceivedHead), 32U); }

}  // namespace
}  // namespace websockets
