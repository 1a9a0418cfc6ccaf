// SPDX-License-Identifier: MIT
#include "http/request.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "http/request_parser.h"
#include "request_feeder.h"

namespace websockets {
namespace {

constexpr std::string_view kShortest = "A / HTTP/1.0\r\n\r\n";
constexpr std::string_view kLong =
    "POST /path HTTP/1.1\r\nHost: a\r\nAccept: x\r\nEmpty:\r\nACCEPT: y, z\r\nContent-Length: 5\r\n\r\nhello";

// A copy whose parser, and with it the bytes that were parsed, is gone.
Request parse(std::string_view text) {
  RequestParser parser(RequestLimits{});
  std::span<const std::uint8_t> input(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  EXPECT_EQ(parser.consume(input), RequestParser::Status::kHead);
  EXPECT_EQ(parser.consume(input), RequestParser::Status::kComplete);
  return parser.request();
}

TEST(Request, IsEmptyAtFirst) {
  const Request request;
  EXPECT_EQ(describe(request), "  1.1 keep\n{}\n");
  const Request copy(request);  // NOLINT(performance-unnecessary-copy-initialization)
  EXPECT_EQ(describe(copy), "  1.1 keep\n{}\n");
}

TEST(Request, FindsHeadersWithoutCase) {
  const Request request = parse(kLong);
  EXPECT_EQ(request.header("accept"), "x");
  EXPECT_EQ(request.count("aCCept"), 2U);
  EXPECT_EQ(request.joined("Accept"), "x, y, z");
  EXPECT_EQ(request.header("Empty"), "");
  EXPECT_EQ(request.count("Empty"), 1U);
  EXPECT_EQ(request.joined("Host"), "a");
  EXPECT_EQ(request.header("Acce"), "");
  EXPECT_EQ(request.count("Accept2"), 0U);
  EXPECT_EQ(request.joined("None"), "");
}

TEST(Request, JoinsEmptyValuesToo) {
  EXPECT_EQ(parse("A / HTTP/1.0\r\nX:\r\nX: a\r\nX:\r\n\r\n").joined("x"), ", a, ");
}

TEST(Request, CopiesOwnTheirBytes) {
  for (const std::string_view text : {kShortest, kLong}) {
    auto original = std::make_unique<Request>(parse(text));
    const std::string description = describe(*original);
    const Request copy(*original);
    Request assigned = parse("GET /other HTTP/1.1\r\nHost: b\r\n\r\n");
    assigned = *original;
    original.reset();
    EXPECT_EQ(describe(copy), description);
    EXPECT_EQ(describe(assigned), description);
    const Request& itself = assigned;
    assigned = itself;
    EXPECT_EQ(describe(assigned), description);
  }
}

TEST(Request, MovesTakeTheBytesAlong) {
  for (const std::string_view text : {kShortest, kLong}) {
    auto original = std::make_unique<Request>(parse(text));
    const std::string description = describe(*original);
    auto moved = std::make_unique<Request>(std::move(*original));
    original.reset();
    EXPECT_EQ(describe(*moved), description);
    Request assigned = parse("GET /other HTTP/1.1\r\nHost: b\r\n\r\n");
    assigned = std::move(*moved);
    moved.reset();
    EXPECT_EQ(describe(assigned), description);
  }
}

}  // namespace
}  // namespace websockets
