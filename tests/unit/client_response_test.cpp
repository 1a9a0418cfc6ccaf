// SPDX-License-Identifier: MIT
#include "client/client_response.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

TEST(ClientResponseTest, KeepsTheUrlBehindTheHead) {
  const ReceivedHead head("HTTP/1.1 101 \r\nSec-WebSocket-Protocol: chat\r\n\r\n");
  const ClientResponse response("ws://example.org/", head);
  EXPECT_EQ(response.url(), "ws://example.org/");
  EXPECT_EQ(response.protocol(), "chat");
  EXPECT_EQ(response.head().status(), 101);
  HeaderLines headers = response.head().headers();
  std::string_view name;
  std::string_view value;
  EXPECT_TRUE(headers.next(name, value));
  EXPECT_FALSE(headers.next(name, value));  // "ws: //example.org/" is none
}

TEST(ClientResponseTest, IsOnePieceOfMemory) {
  const ClientResponse response(std::string(100, 'u'), ReceivedHead(std::string(300, 'h')));
  EXPECT_EQ(response.head().text().size(), 400U);
  EXPECT_EQ(response.head().text().capacity(), 400U);
}

TEST(ClientResponseTest, MayBeNone) {
  const ClientResponse none;
  EXPECT_EQ(none.url(), "");
  EXPECT_EQ(none.protocol(), "");
}

}  // namespace
}  // namespace websockets
