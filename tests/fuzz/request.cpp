// SPDX-License-Identifier: MIT
// HTTP requests, one behind the other: what comes out does not depend on how they were split, and holds nothing that
// could be taken for something else when it is written into a log or another request.
#include "base/http_text.h"
#include "fuzz_support.h"
#include "request_feeder.h"
#include "websocket/handshake.h"

using namespace websockets;

namespace {

constexpr std::size_t kUsedByOthers = 10;

RequestLimits limits_with(ContentBudget& contents) {
  contents = {.limit_bytes = 50, .used_bytes = kUsedByOthers};
  return {.max_header_bytes = 512, .max_headers = 20, .max_body_bytes = 64, .contents = &contents};
}

void check_requests(RequestParser& parser, std::string_view stream) {
  std::span<const std::uint8_t> input(reinterpret_cast<const std::uint8_t*>(stream.data()), stream.size());
  while (true) {
    const RequestParser::Status status = parser.consume(input);
    if (status == RequestParser::Status::kIncomplete) return;
    if (status == RequestParser::Status::kError) {
      EXPECT_GE(parser.error_status(), 400);
      return;
    }
    EXPECT_TRUE(parser.started());
    if (status == RequestParser::Status::kHead) continue;
    EXPECT_EQ(parser.consume(input), RequestParser::Status::kComplete);
    const Request& request = parser.request();
    EXPECT_TRUE(is_token(request.method()));
    EXPECT_FALSE(request.target().empty());
    EXPECT_LE(request.body().size(), 64U);
    for (const Request::Header& header : request.headers()) {
      EXPECT_TRUE(is_token(header.name));
      EXPECT_EQ(http_text::trimmed(header.value), header.value);
      EXPECT_EQ(header.value.find_first_of(std::string_view("\r\n\0", 3)), std::string_view::npos);
    }
    EXPECT_LE(request.count("Host"), 1U);
    EXPECT_LE(request.count("Content-Length"), 1U);
    if (request.count("Transfer-Encoding") > 0) EXPECT_EQ(request.count("Content-Length"), 0U);
    Request copy;
    copy = request;
    EXPECT_EQ(describe(copy), describe(request));
    if (asks_for_websocket(request.joined("Upgrade"))) return;
    parser.reset();
    EXPECT_FALSE(parser.started());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::vector<std::size_t> cuts = fuzz::take_cuts(input, size);
  const std::string_view stream = input.text();
  ContentBudget contents;
  {
    RequestParser parser(limits_with(contents));
    check_requests(parser, stream);
  }
  EXPECT_EQ(contents.used_bytes, kUsedByOthers);
  RequestFeeder whole(limits_with(contents));
  whole.feed(stream);
  ContentBudget others;
  RequestFeeder pieces(limits_with(others));
  std::size_t begin = 0;
  for (std::size_t cut : cuts) {
    cut = std::min(cut, stream.size());
    pieces.feed(stream.substr(begin, cut - begin));
    begin = cut;
  }
  pieces.feed(stream.substr(begin));
  EXPECT_EQ(pieces.log(), whole.log());
  return 0;
}
