// SPDX-License-Identifier: MIT
// HTTP requests, one behind the other: what comes out does not depend on how they were split, and holds nothing that
// could be taken for something else when it is written into a log or another request.
#include "fuzz_support.h"
#include "protocol/handshake.h"
#include "protocol/http_text.h"
#include "request_feeder.h"

using namespace websockets;

namespace {

void check_request(std::string_view stream) {
  RequestLimits limits;
  limits.max_header_bytes = 512;
  limits.max_body_bytes = 64;
  RequestParser parser(limits);
  std::span<const std::uint8_t> input(reinterpret_cast<const std::uint8_t*>(stream.data()), stream.size());
  while (true) {
    const RequestParser::Status status = parser.consume(input);
    if (status == RequestParser::Status::kIncomplete) return;
    if (status == RequestParser::Status::kError) {
      EXPECT_GE(parser.error_status(), 400);
      return;
    }
    if (status == RequestParser::Status::kHead) continue;
    const Request& request = parser.request();
    EXPECT_TRUE(is_token(request.method()));
    EXPECT_FALSE(request.target().empty());
    EXPECT_LE(request.body().size(), limits.max_body_bytes);
    for (const Request::Header& header : request.headers()) {
      EXPECT_TRUE(is_token(header.name));
      EXPECT_EQ(http_text::trimmed(header.value), header.value);
      EXPECT_EQ(header.value.find_first_of(std::string_view("\r\n\0", 3)), std::string_view::npos);
    }
    EXPECT_LE(request.count("Host"), 1U);
    EXPECT_LE(request.count("Content-Length"), 1U);
    if (request.count("Transfer-Encoding") > 0) EXPECT_EQ(request.count("Content-Length"), 0U);
    const Request copy = request;
    EXPECT_EQ(describe(copy), describe(request));
    if (asks_for_websocket(request.joined("Upgrade"))) return;
    parser.reset();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::vector<std::size_t> cuts = fuzz::take_cuts(input, size);
  const std::string_view stream = input.text();
  check_request(stream);
  RequestLimits limits;
  limits.max_header_bytes = 512;
  limits.max_body_bytes = 64;
  RequestFeeder whole(limits);
  whole.feed(stream);
  RequestFeeder pieces(limits);
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
