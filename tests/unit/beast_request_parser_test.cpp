// SPDX-License-Identifier: MIT
#include "http/beast_request_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "request_feeder.h"

namespace websockets {
namespace {

class BeastRequestParserTest : public testing::Test {
 protected:
  // The views of the request point into it.
  Refusal read_head(std::string_view head) {
    request.head().reserve(Request::kLeastHeadCapacity);
    request.head() = head;
    return parser.read_head(request.head());
  }

  Request request;
  RequestLimits limits;
  BeastRequestParser parser{request, limits};
};

TEST_F(BeastRequestParserTest, WritesIntoTheRequestWhatItReads) {
  EXPECT_EQ(read_head("POST /a?b HTTP/1.0\r\nHost: x\r\nA:  b c \r\nContent-Length: 5\r\n\r\n").status, 0);
  EXPECT_EQ(request.method(), "POST");
  EXPECT_EQ(request.target(), "/a?b");
  EXPECT_EQ(request.minor_version(), 0);
  ASSERT_EQ(request.headers().size(), 3U);
  EXPECT_EQ(request.headers()[1].name, "A");
  EXPECT_EQ(request.headers()[1].value, "b c");
  EXPECT_FALSE(parser.rules().keep_alive());
  EXPECT_TRUE(parser.rules().has_body());
  EXPECT_FALSE(parser.is_done());
  EXPECT_EQ(parser.read_content(as_bytes("hello, too")), 5U) << "the rest is of what follows";
  EXPECT_TRUE(parser.is_done());
  EXPECT_EQ(request.body(), "hello");
}

TEST_F(BeastRequestParserTest, SaysWhatIsWrongWithAHead) {
  EXPECT_EQ(read_head("GET / HTTP/1.1\r\nHost x\r\n\r\n").status, 400);
}

TEST_F(BeastRequestParserTest, HoldsTheHeadersAgainstTheRules) {
  EXPECT_EQ(read_head("GET / HTTP/1.1\r\nA: b\r\n\r\n").status, 400) << "without a Host";
}

TEST_F(BeastRequestParserTest, TheRulesKnowABetterReasonThanTheLength) {
  EXPECT_EQ(read_head("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n").status, 413);
}

TEST_F(BeastRequestParserTest, ReadsChunks) {
  EXPECT_EQ(read_head("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").status, 0);
  EXPECT_TRUE(parser.chunked());
  EXPECT_EQ(parser.chunk_bytes(), 0U);
  EXPECT_EQ(parser.read_chunk_lines("5;a=\"b\"\r\n").status, 0);
  EXPECT_EQ(parser.chunk_bytes(), 5U);
  EXPECT_EQ(parser.read_content(as_bytes("hel")), 3U);
  EXPECT_EQ(parser.chunk_bytes(), 2U);
  EXPECT_EQ(parser.read_content(as_bytes("lo\r\n")), 2U);
  EXPECT_EQ(parser.read_chunk_lines("\r\n0\r\nTrailer: is no header\r\n\r\n").status, 0);
  EXPECT_TRUE(parser.is_done());
  EXPECT_EQ(request.body(), "hello");
  EXPECT_EQ(request.count("Trailer"), 0U);
}

TEST_F(BeastRequestParserTest, RefusesChunkLinesThatAreMalformed) {
  read_head("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(parser.read_chunk_lines("5;a=\"\1\"\r\n").status, 400) << "a control character between quotes";
}

}  // namespace
}  // namespace websockets
