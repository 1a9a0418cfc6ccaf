// SPDX-License-Identifier: MIT
#include "http/response_parser.h"

#include <gtest/gtest.h>

#include <new>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "failing_allocations.h"
#include "response_feeder.h"

namespace websockets {
namespace {

using namespace std::string_literals;
using Asked = ResponseParser::Asked;

// The log of the stream, after which nothing follows; fails unless it is the same for each way to split the stream in
// two, and byte by byte.
std::string log_of(std::string_view stream, Asked asked = Asked::kWebsocket, const ResponseLimits& limits = {}) {
  ResponseFeeder by_byte(asked, limits);
  for (const char byte : stream) by_byte.feed({&byte, 1});
  by_byte.end();
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    ResponseFeeder halves(asked, limits);
    halves.feed(stream.substr(0, cut));
    halves.feed(stream.substr(cut));
    halves.end();
    EXPECT_EQ(halves.log(), by_byte.log()) << "split at " << cut;
    if (testing::Test::HasFailure()) break;
  }
  return by_byte.log();
}

// Whether the stream is an answer before anything follows.
bool is_complete(std::string_view stream, const ResponseLimits& limits = {}) {
  ResponseFeeder feeder(Asked::kWebsocket, limits);
  feeder.feed(stream);
  return feeder.has_ended();
}

TEST(ResponseParserTest, LeavesWhatIsBehindASwitch) {
  EXPECT_EQ(
      log_of("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x02hi\r\n\r\n"),
      "101 1.1 Switching Protocols\nUpgrade=websocket\nConnection=Upgrade\n{}\n\x81\x02hi\r\n\r\n");
  EXPECT_EQ(log_of("HTTP/1.1 101 \r\nContent-Length: 2\r\n\r\n\x81\x02hi"),
            "101 1.1 \nContent-Length=2\n{}\n\x81\x02hi");
}

TEST(ResponseParserTest, LeavesWhatIsBehindATunnel) {
  EXPECT_EQ(log_of("HTTP/1.0 200 Connection established\r\n\r\n\x16\x03", Asked::kTunnel),
            "200 1.0 Connection established\n{}\n\x16\x03");
  EXPECT_EQ(log_of("HTTP/1.1 204 A\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", Asked::kTunnel),
            "204 1.1 A\nTransfer-Encoding=chunked\n{}\n5\r\n");
  EXPECT_EQ(log_of("HTTP/1.1 407 A\r\nContent-Length: 2\r\n\r\nnotunnel", Asked::kTunnel),
            "407 1.1 A\nContent-Length=2\n{no}\n");
}

TEST(ResponseParserTest, ReadsContentOfAKnownLength) {
  EXPECT_EQ(log_of("HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\n\r\n\0\xffmore"s),
            "401 1.1 Unauthorized\nContent-Length=4\n{\r\n\0\xff}\n"s);
  EXPECT_TRUE(is_complete("HTTP/1.1 401 A\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_TRUE(is_complete("HTTP/1.1 304 A\r\nContent-Length: 4\r\n\r\n"));
  EXPECT_TRUE(is_complete("HTTP/1.1 204 A\r\n\r\n"));
  EXPECT_FALSE(is_complete("HTTP/1.1 401 A\r\nContent-Length: 4\r\n\r\nabc"));
  EXPECT_EQ(log_of("HTTP/1.1 401 A\r\nContent-Length: 4\r\n\r\nabc"), "401 1.1 A\nContent-Length=4\n{abc}...\n");
}

TEST(ResponseParserTest, ReadsContentUpToTheEnd) {
  EXPECT_EQ(log_of("HTTP/1.1 200 OK\r\n\r\nab\r\n\r\n"), "200 1.1 OK\n{ab\r\n\r\n}\n");
  EXPECT_EQ(log_of("HTTP/1.1 200 OK\r\n\r\n"), "200 1.1 OK\n{}\n");
  EXPECT_FALSE(is_complete("HTTP/1.1 200 OK\r\n\r\nab"));
}

TEST(ResponseParserTest, ReadsChunks) {
  const std::string head = "HTTP/1.1 500 A\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string log = "500 1.1 A\nTransfer-Encoding=chunked\n";
  EXPECT_EQ(log_of(head + "5\r\nhello\r\n00C ; a=\"x;y\"\r\n wo\r\n0\r\n\r\nld\r\n0;last\r\nTrailer: one\r\n\r\nmore"),
            log + "{hello wo\r\n0\r\n\r\nld}\n");
  EXPECT_EQ(log_of(head + "0\r\n\r\n"), log + "{}\n");
  EXPECT_TRUE(is_complete(head + "0\r\n\r\n"));
  EXPECT_FALSE(is_complete(head + "1\r\na\r\n0\r\n"));
  EXPECT_EQ(log_of(head + "1\r\na\r\n0\r\n"), log + "{a}...\n");
}

TEST(ResponseParserTest, TakesTheHeadOfContentThatIsMalformed) {
  const std::string head = "HTTP/1.1 500 A\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& chunks : {"x\r\n"s, "1\r\nabc"s, "\r\n\r\n"s, "1\n"s, "10000000000000000\r\n"s, "1;=\r\n"s,
                                    "0\r\n:\r\n\r\n"s, "1\r\na0\r\n"s}) {
    ResponseFeeder feeder;
    feeder.feed(head + chunks);
    feeder.end();
    EXPECT_NE(feeder.log().find("500 1.1 A\n"), std::string::npos) << chunks;
    EXPECT_TRUE(feeder.log().ends_with("}...\n")) << chunks;
  }
}

TEST(ResponseParserTest, KeepsTheBeginningOfLongContent) {
  const ResponseLimits limits{.max_body_bytes = 4};
  for (const std::string head : {"HTTP/1.1 500 A\r\n\r\n", "HTTP/1.1 500 A\r\nContent-Length: 99\r\n\r\n"}) {
    EXPECT_FALSE(is_complete(head + "abcd", limits));
    EXPECT_TRUE(is_complete(head + "abcde", limits));
    EXPECT_TRUE(log_of(head + "abcdefg", Asked::kWebsocket, limits).ends_with("{abcd}...\n"));
  }
  EXPECT_TRUE(
      log_of("HTTP/1.1 500 A\r\nContent-Length: 4\r\n\r\nabcd", Asked::kWebsocket, limits).ends_with("{abcd}\n"));
  EXPECT_TRUE(
      log_of("HTTP/1.1 500 A\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n", Asked::kWebsocket, limits)
          .ends_with("{abcd}...\n"));
}

TEST(ResponseParserTest, WaitsForNoEndOfChunkExtensionsAndTrailers) {
  const ResponseLimits limits{.max_header_bytes = 64};
  const std::string head = "HTTP/1.1 500 A\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_FALSE(is_complete(head + "1;" + std::string(60, 'a'), limits));
  EXPECT_TRUE(is_complete(head + "1;" + std::string(99, 'a'), limits));
  EXPECT_TRUE(is_complete(head + "0\r\n" + std::string(99, 'a'), limits));
  // Wherever the stream is split.
  EXPECT_TRUE(log_of(head + "1;" + std::string(99, 'a') + "\r\nb\r\n0\r\n\r\n", Asked::kWebsocket, limits)
                  .ends_with("{}...\n"));
  EXPECT_TRUE(
      log_of(head + "1;" + std::string(59, 'a') + "\r\nb\r\n0\r\n\r\n", Asked::kWebsocket, limits).ends_with("{b}\n"));
}

TEST(ResponseParserTest, SkipsInterimAnswers) {
  EXPECT_EQ(log_of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 101 B\r\nC: "
                   "d\r\n\r\nframes"),
            "101 1.1 B\nC=d\n{}\nframes");
  std::string many;
  for (int i = 0; i < 16; ++i) many += "HTTP/1.1 102 \r\n\r\n";
  EXPECT_EQ(log_of(many + "HTTP/1.1 200 A\r\nContent-Length: 0\r\n\r\n"), "200 1.1 A\nContent-Length=0\n{}\n");
  EXPECT_EQ(log_of(many + "HTTP/1.1 102 \r\n\r\n"), "error: There are too many interim answers.\n");
  EXPECT_EQ(log_of("HTTP/1.1 100 Continue\r\n\r\n"), "error: The connection was closed without an answer.\n");
  EXPECT_EQ(log_of("HTTP/1.1 100 Continue\r\n\r\nSSH-2.0"), "error: This is no answer of an HTTP/1 server.\n");
}

TEST(ResponseParserTest, RefusesOtherProtocolsAtTheirFirstBytes) {
  for (const std::string& text :
       {"\x15\x03\x01"s, "SSH-2.0-"s, "HTTP/2.0"s, "\r\n"s, "HTTP/2 200\r\n"s, "http/1.1"s, "HTTP/0"s, "\0"s}) {
    EXPECT_TRUE(is_complete(text)) << text;
    EXPECT_EQ(log_of(text), "error: This is no answer of an HTTP/1 server.\n");
  }
  EXPECT_EQ(log_of("HTTP/1"), "error: The connection was closed in the midst of an answer's head.\n");
  EXPECT_EQ(log_of(""), "error: The connection was closed without an answer.\n");
}

TEST(ResponseParserTest, TakesWhatIsSentNevertheless) {
  EXPECT_EQ(log_of("HTTP/1.1 101\r\nA: b\r\n\r\n"), "101 1.1 \nA=b\n{}\n");
  EXPECT_EQ(log_of("HTTP/1.9 101 \r\nA:b\r\n\r\n"), "101 1.1 \nA=b\n{}\n");
  EXPECT_EQ(log_of("HTTP/1.1 101 B\xe4r\r\nA: b\r\n c\r\n\td \r\nE:\r\n\r\n"),
            "101 1.1 B\xe4r\nA=b   c  \td\nE=\n{}\n");
}

TEST(ResponseParserTest, RefusesWhatIsMalformed) {
  for (const std::string& head : {"HTTP/1.1 101 A\n\r\n"s,
                                  "HTTP/1.1 101 A\r\nB: c\n\r\n"s,
                                  "HTTP/1.1 101 A\r\n B: c\r\n\r\n"s,
                                  "HTTP/1.1 101 A\r\nB\r\n\r\n"s,
                                  "HTTP/1.1 101 A\r\nB : c\r\n\r\n"s,
                                  "HTTP/1.1 101 A\r\n: c\r\n\r\n"s,
                                  "HTTP/1.1 101 A\r\nB: \0\r\n\r\n"s,
                                  "HTTP/1.1 101 A\r\nB: c\rd\r\n\r\n"s,
                                  "HTTP/1.1 10 A\r\n\r\n"s,
                                  "HTTP/1.1 1a1 A\r\n\r\n"s,
                                  "HTTP/1.1  101 A\r\n\r\n"s,
                                  "HTTP/1.1\r\n\r\n"s,
                                  "HTTP/1.1 101A\r\n\r\n"s,
                                  "HTTP/1.1 200 A\r\nContent-Length: -1\r\n\r\n"s,
                                  "HTTP/1.1 200 A\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"s,
                                  "HTTP/1.1 200 A\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"s,
                                  "HTTP/1.x 101 A\r\n\r\n"s,
                                  "HTTP/1.1 101 \x7f\r\n\r\n"s,
                                  "HTTP/1.1 000 A\r\n\r\n"s,
                                  "HTTP/1.1 099 A\r\n\r\n"s}) {
    EXPECT_TRUE(is_complete(head)) << head;
    EXPECT_TRUE(log_of(head).starts_with("error: ")) << head;
  }
}

TEST(ResponseParserTest, LimitsTheHead) {
  const std::string head = "HTTP/1.1 101 A\r\nB: c\r\nD: e\r\n\r\n";
  EXPECT_TRUE(log_of(head, Asked::kWebsocket, {.max_header_bytes = head.size()}).starts_with("101"));
  for (std::size_t limit = 1; limit < head.size(); ++limit) {
    EXPECT_EQ(log_of(head, Asked::kWebsocket, {.max_header_bytes = limit}),
              "error: The head of the answer is too long.\n");
  }
  EXPECT_TRUE(log_of(head, Asked::kWebsocket, {.max_headers = 2}).starts_with("101"));
  EXPECT_EQ(log_of(head, Asked::kWebsocket, {.max_headers = 1}), "error: The answer has too many headers.\n");
  EXPECT_TRUE(log_of("HTTP/1.1 101 A\r\nB: " + std::string(12'000, 'c') + "\r\n\r\n", Asked::kTunnel).size() > 12'000);
}

TEST(ResponseParserTest, TellsOfTheHeadBeforeTheContentIsThere) {
  ResponseParser parser(Asked::kWebsocket);
  std::span<const std::uint8_t> input = as_bytes("HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 9\r\n\r\n");
  EXPECT_FALSE(parser.has_head());
  EXPECT_EQ(parser.consume(input), ResponseParser::Status::kMore);
  EXPECT_TRUE(parser.has_head());
  EXPECT_EQ(parser.body(), "");
  EXPECT_EQ(parser.take_head().header("location"), "/b");
}

TEST(ResponseParserTest, SurvivesEachAllocationThatFails) {
  const std::string stream =
      "HTTP/1.1 103 Early Hints of some length, more than fits\r\n\r\n"
      "HTTP/1.1 500 Internal\r\nA-Long-Header: of some length\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n0\r\n\r\n";
  bool has_failed = true;
  for (std::size_t nth = 1; has_failed; ++nth) {
    const FailingAllocation failing(nth);
    try {
      ResponseParser parser(Asked::kWebsocket);
      for (std::string_view rest = stream; !rest.empty(); rest.remove_prefix(std::min<std::size_t>(rest.size(), 7))) {
        std::span<const std::uint8_t> input = as_bytes(rest.substr(0, 7));
        parser.consume(input);
      }
      const FailingAllocation::Pause pause;
      EXPECT_EQ(parser.body().size(), 67U);
    } catch (const std::bad_alloc&) {
    }
    has_failed = failing.has_failed();
    ASSERT_LT(nth, 1000U);
  }
}

}  // namespace
}  // namespace websockets
