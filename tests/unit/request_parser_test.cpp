// SPDX-License-Identifier: MIT
#include "http/request_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "request_feeder.h"

namespace websockets {
namespace {

using namespace std::string_literals;
using Status = RequestParser::Status;

// What the server does with one piece of input; the parser does not keep it.
Status consume(RequestParser& parser, std::string_view piece) {
  std::span<const std::uint8_t> input(reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size());
  return parser.consume(input);
}

TEST(RequestParser, ReadsAHeadAndSaysTwiceThatItIsThere) {
  EXPECT_EQ(log_however_split("GET /a?b=c HTTP/1.1\r\nHost: example.com\r\n\r\n"),
            "head 42\n"
            "complete 42: GET /a?b=c 1.1 keep\nHost=example.com\n{}\n");
}

TEST(RequestParser, ReadsContentOfAKnownLength) {
  EXPECT_EQ(log_however_split("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab\r\n\r\n\0\xff\n"s),
            "head 47\n"
            "complete 56: POST / 1.1 keep\nHost=a\nContent-Length=9\n{ab\r\n\r\n\0\xff\n}\n"s);
  EXPECT_EQ(log_however_split("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
            "head 47\n"
            "complete 47: POST / 1.1 keep\nHost=a\nContent-Length=0\n{}\n");
}

TEST(RequestParser, ReadsChunksAndDropsTheirExtensionsAndTrailers) {
  EXPECT_EQ(log_however_split("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
                              "5\r\nhello\r\n"
                              "00c ; a=\"x;y\" ; b = c\r\n wo\r\n0\r\n\r\nld\r\n"
                              "1;q\r\n!\r\n"
                              "000;last\r\nTrailer: one\r\nX:\r\n\r\n"),
            "head 56\n"
            "complete 141: POST / 1.1 keep\nHost=a\nTransfer-Encoding=Chunked\n{hello wo\r\n0\r\n\r\nld!}\n");
}

TEST(RequestParser, ReadsChunksWithoutContent) {
  EXPECT_EQ(log_however_split("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "head 56\n"
            "complete 61: POST / 1.1 keep\nHost=a\nTransfer-Encoding=chunked\n{}\n");
}

TEST(RequestParser, ReadsPipelinedRequestsWithEmptyLinesBetweenThem) {
  EXPECT_EQ(log_however_split("\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
                              "PUT /2 HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc\r\n"
                              "PUT /3 HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
                              "GET /4 HTTP/1.0\r\n\r\n\r\n"),
            "head 32\ncomplete 32: GET /1 1.1 keep\nHost=a\n{}\n"
            "head 79\ncomplete 82: PUT /2 1.1 keep\nHost=b\nContent-Length=3\n{abc}\n"
            "head 140\ncomplete 152: PUT /3 1.1 keep\nHost=c\nTransfer-Encoding=chunked\n{hi}\n"
            "head 171\ncomplete 171: GET /4 1.0 close\n{}\n");
}

TEST(RequestParser, LeavesWhatIsBehindAHandshake) {
  EXPECT_EQ(log_however_split("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                              "\x81\x85\0\0\0\0GET /\r\n\r\n"s),
            "head 72\n"
            "complete 72: GET /chat 1.1 keep\nHost=a\nConnection=Upgrade\nUpgrade=websocket\n{}\n"
            "\x81\x85\0\0\0\0GET /\r\n\r\n"s);
}

TEST(RequestParser, TakesAnyListOfUpgrades) {
  for (const char* upgrade : {"websocket, h2c", "h2c, WebSocket", ",websocket,", "websocket,websocket",
                              "websocket\r\nUpgrade: websocket", "websocket\r\nUpgrade:", ""}) {
    const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: "s + upgrade + "\r\n\r\n";
    RequestParser parser(RequestLimits{});
    EXPECT_EQ(consume(parser, head), Status::kHead) << upgrade;
    EXPECT_EQ(consume(parser, {}), Status::kComplete) << upgrade;
  }
}

TEST(RequestParser, ReadsContentBesideAnUpgradeToSomethingElse) {
  EXPECT_EQ(log_however_split("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi"),
            "head 61\n"
            "complete 63: POST / 1.1 keep\nHost=a\nUpgrade=h2c\nContent-Length=2\n{hi}\n");
}

TEST(RequestParser, TakesEveryFormOfTarget) {
  for (const char* line : {"GET http://example.com:80/a?b HTTP/1.1", "OPTIONS * HTTP/1.1",
                           "GET /%00/../\"<>\\^`{|}\xc3\xa4 HTTP/1.1", "M-SEARCH / HTTP/1.1"}) {
    const std::string text = line;
    const std::string method_and_target = text.substr(0, text.rfind(' '));
    const std::string log = log_however_split(text + "\r\nHost: a\r\n\r\n");
    EXPECT_NE(log.find(": " + method_and_target + " 1.1 keep\n"), std::string::npos) << log;
  }
}

TEST(RequestParser, TakesBlanksAroundValuesOff) {
  EXPECT_EQ(log_however_split(
                "GET / HTTP/1.1\r\nHOST:a\r\nx-1: \t b \t c\xe4 \t \r\nX-2:\r\nX-3: \t \r\n!#$%&'*+-.^_`|~9: z\r\n"
                "\r\n"),
            "head 80\n"
            "complete 80: GET / 1.1 keep\nHOST=a\nx-1=b \t c\xe4\nX-2=\nX-3=\n!#$%&'*+-.^_`|~9=z\n{}\n");
}

TEST(RequestParser, KnowsWhetherTheConnectionIsKept) {
  const auto keeps = [](std::string_view version, std::string_view connection) {
    RequestParser parser(RequestLimits{});
    const std::string head = "GET / HTTP/"s.append(version).append("\r\nHost: a\r\n").append(connection) + "\r\n";
    EXPECT_EQ(consume(parser, head), Status::kHead) << head;
    return parser.request().keep_alive();
  };
  EXPECT_TRUE(keeps("1.1", ""));
  EXPECT_TRUE(keeps("1.1", "Connection: Upgrade, closed\r\n"));
  EXPECT_FALSE(keeps("1.1", "Connection: Upgrade, Close\r\n"));
  EXPECT_FALSE(keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  EXPECT_FALSE(keeps("1.0", ""));
  EXPECT_TRUE(keeps("1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_FALSE(keeps("1.0", "Connection: keep-alive, close\r\n"));
}

TEST(RequestParser, LimitsTheHead) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789\r\n\r\n";
  EXPECT_EQ(log_however_split(head, {.max_header_bytes = head.size()}).substr(0, 7), "head 42");
  const auto expected_error = [](std::size_t limit) {
    if (limit < std::string_view("GET ").size()) return "error 501\n";
    return limit < std::string_view("GET / HTTP/1.1\r\n").size() ? "error 414\n" : "error 431\n";
  };
  for (std::size_t limit = 0; limit < head.size(); ++limit) {
    EXPECT_EQ(log_however_split(head, {.max_header_bytes = limit}), expected_error(limit)) << limit;
    // At the last byte that fits, since it is not the end.
    EXPECT_EQ(refused_behind(head, {.max_header_bytes = limit}), std::max<std::size_t>(limit, 1)) << limit;
  }
}

TEST(RequestParser, LimitsContentAtItsContentLength) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
  EXPECT_EQ(log_however_split(head + "0123456789", {.max_body_bytes = 10}).substr(0, 8), "head 48\n");
  EXPECT_EQ(log_however_split(head, {.max_body_bytes = 9}), "error 413\n");
  EXPECT_EQ(log_however_split(head, {.max_body_bytes = 0}), "error 413\n");
  EXPECT_EQ(log_however_split("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n"),
            "error 413\n");
}

TEST(RequestParser, LimitsTheSumOfChunksAtTheirSizes) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunks = head + "6\r\n012345\r\n4\r\n";
  EXPECT_EQ(log_however_split(chunks + "6789\r\n0\r\n\r\n", {.max_body_bytes = 10}).find("error"), std::string::npos);
  EXPECT_EQ(log_however_split(chunks, {.max_body_bytes = 9}), "head 56\nerror 413\n");
  EXPECT_EQ(log_however_split(head + "ffffffffffffffff\r\n"), "head 56\nerror 413\n");
}

TEST(RequestParser, LimitsTheTrailersAsTheHeaders) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string_view chunk : {"", "1\r\nx\r\n"}) {
    const std::string three = head + std::string(chunk) + "0\r\nA: b\r\nA: b\r\nA: b\r\n";
    EXPECT_EQ(log_however_split(three + "\r\n", {.max_headers = 3}).find("error"), std::string::npos);
    EXPECT_EQ(log_however_split(three + "A: b\r\n\r\n", {.max_headers = 2}), "head 56\nerror 431\n");
  }
}

// How much of a flood of these is read within one quantum.
std::size_t read_in_a_turn(const std::string& begin, std::string_view unit) {
  std::string flood = begin;
  while (flood.size() < 1U << 20U) flood += unit;
  RequestParser parser({.max_body_bytes = flood.size()});
  std::span<const std::uint8_t> input(reinterpret_cast<const std::uint8_t*>(flood.data()), flood.size());
  for (Budget budget; !budget.is_spent();) {
    const Status status = parser.consume(input, budget);
    EXPECT_NE(status, Status::kError);
    if (status == Status::kComplete) parser.reset();
  }
  return flood.size() - input.size();
}

TEST(RequestParser, ReadsNoMoreThanTheWorkOfATurn) {
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_LT(read_in_a_turn(post, "1\r\nx\r\n"), 5000U);
  EXPECT_LT(read_in_a_turn(post, "1;a;b;c;d;e;f;g\r\nx\r\n"), 20000U);
  EXPECT_LT(read_in_a_turn("", post + "0\r\na:\r\nb:\r\nc:\r\n\r\n"), 20000U);
  EXPECT_LT(read_in_a_turn("", "GET / HTTP/1.1\r\nHost: a\r\na:\r\nb:\r\n\r\n"), 20000U);
  EXPECT_LT(read_in_a_turn("", "GET / HTTP/1.1\r\nHost: a\r\nA: " + std::string(7000, 'b') + "\r\n\r\n"), 50000U);
}

TEST(RequestParser, LimitsWhatStandsBetweenChunks) {
  const RequestLimits limits{.max_header_bytes = 60};
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string extension = ";a=" + std::string(40, 'b');
  EXPECT_EQ(log_however_split(head + "1" + extension + extension, limits), "head 56\nerror 400\n");
  EXPECT_EQ(log_however_split(head + "0\r\nA: b\r\n" + std::string(60, 'c'), limits), "head 56\nerror 400\n");
  // Each is short enough, all together are not.
  const std::string chunk = "1" + extension + "\r\nx\r\n";
  EXPECT_EQ(log_however_split(head + chunk + "0\r\n\r\n", limits).find("error"), std::string::npos);
  EXPECT_EQ(log_however_split(head + chunk + chunk + chunk + chunk, limits), "head 56\nerror 400\n");
  // Large chunks pay for them.
  const std::string large = "20" + extension + "\r\n" + std::string(32, 'x') + "\r\n";
  EXPECT_EQ(log_however_split(head + large + large + large + large + "0\r\n\r\n", limits).find("error"),
            std::string::npos);
}

TEST(RequestParser, SaysWhoWaitsForContinue) {
  const std::string expecting = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n";
  RequestParser waiting(RequestLimits{});
  EXPECT_EQ(consume(waiting, expecting), Status::kHead);
  EXPECT_TRUE(waiting.expects_continue());
  EXPECT_EQ(consume(waiting, {}), Status::kIncomplete);
  EXPECT_TRUE(waiting.expects_continue());
  EXPECT_EQ(consume(waiting, "h"), Status::kIncomplete);
  EXPECT_FALSE(waiting.expects_continue());
  EXPECT_EQ(consume(waiting, "i"), Status::kComplete);
  waiting.reset();
  EXPECT_FALSE(waiting.expects_continue());

  RequestParser impatient(RequestLimits{});
  EXPECT_EQ(consume(impatient, expecting + "h"), Status::kHead);
  EXPECT_FALSE(impatient.expects_continue());
}

TEST(RequestParser, DoesNotContinueWithoutContentOrForHttp10) {
  for (const char* head : {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
                           "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
                           "POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"}) {
    RequestParser parser(RequestLimits{});
    EXPECT_EQ(consume(parser, head), Status::kHead) << head;
    EXPECT_FALSE(parser.expects_continue()) << head;
  }
}

TEST(RequestParser, HasStartedWithTheFirstByteOfARequest) {
  RequestParser parser(RequestLimits{});
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(consume(parser, "\r\n\r"), Status::kIncomplete);
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(consume(parser, "\nG"), Status::kIncomplete);
  EXPECT_TRUE(parser.started());
  EXPECT_EQ(consume(parser, "ET / HTTP/1.0\r\n\r\n"), Status::kHead);
  EXPECT_EQ(consume(parser, {}), Status::kComplete);
  EXPECT_TRUE(parser.started());
  parser.reset();
  EXPECT_FALSE(parser.started());
}

TEST(RequestParser, GivesLargeContentBackAtReset) {
  RequestParser parser(RequestLimits{});
  const auto address_before_and_after_reset = [&](std::size_t size) {
    const std::string head = "POST / HTTP/1.0\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
    EXPECT_EQ(consume(parser, head), Status::kHead);
    EXPECT_EQ(consume(parser, std::string(size, 'x')), Status::kComplete);
    const char* const before = parser.request().body().data();
    parser.reset();
    EXPECT_EQ(parser.request().body(), "");
    return std::pair(before, parser.request().body().data());
  };
  const auto [small, after_small] = address_before_and_after_reset(1000);
  EXPECT_EQ(small, after_small);
  const auto [large, after_large] = address_before_and_after_reset(100000);
  EXPECT_NE(large, after_large);
}

TEST(RequestParser, ForgetsTheRequestAtReset) {
  RequestParser parser(RequestLimits{});
  EXPECT_EQ(consume(parser, "PUT /x HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi"), Status::kHead);
  parser.reset();
  EXPECT_EQ(describe(parser.request()), "  1.1 keep\n{}\n");
  EXPECT_EQ(consume(parser, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Status::kHead);
  EXPECT_EQ(describe(parser.request()), "GET / 1.1 keep\nHost=a\n{}\n");
}

}  // namespace
}  // namespace websockets
