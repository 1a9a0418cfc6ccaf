// SPDX-License-Identifier: MIT
// The answer to a request: what comes out does not depend on how it was split, and behind an answer that grants what
// was asked for nothing is taken.
#include "base/http_text.h"
#include "fuzz_support.h"
#include "response_feeder.h"
#include "websocket/handshake.h"

using namespace websockets;

namespace {

constexpr ResponseLimits kLimits = {.max_header_bytes = 512, .max_headers = 20, .max_body_bytes = 64};

void check_answer(ResponseParser::Asked asked, std::string_view stream) {
  ResponseParser parser(asked, kLimits);
  std::span<const std::uint8_t> input(reinterpret_cast<const std::uint8_t*>(stream.data()), stream.size());
  ResponseParser::Status status = parser.consume(input);
  if (status == ResponseParser::Status::kMore) {
    EXPECT_TRUE(input.empty());
    status = parser.end_of_input();
  }
  EXPECT_EQ(parser.has_head(), status == ResponseParser::Status::kComplete);
  EXPECT_EQ(parser.error_text().empty(), parser.has_head());
  if (!parser.has_head()) return;
  const ReceivedHead& head = parser.head();
  EXPECT_TRUE(head.status() == 101 || head.status() / 100 != 1);
  EXPECT_LE(head.minor_version(), 1);
  EXPECT_LE(parser.body().size(), kLimits.max_body_bytes);
  if (head.status() == 101) EXPECT_TRUE(parser.body().empty());
  HeaderLines lines = head.headers();
  std::string_view name;
  std::string_view value;
  while (lines.next(name, value)) {
    EXPECT_TRUE(is_token(name));
    EXPECT_EQ(http_text::trimmed(value), value);
    EXPECT_EQ(value.find_first_of(std::string_view("\r\n\0", 3)), std::string_view::npos);
    EXPECT_GE(head.count(name), 1U);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto asked = input.byte() % 2 == 0 ? ResponseParser::Asked::kWebsocket : ResponseParser::Asked::kTunnel;
  const std::vector<std::size_t> cuts = fuzz::take_cuts(input, size);
  const std::string_view stream = input.text();
  check_answer(asked, stream);
  ResponseFeeder whole(asked, kLimits);
  whole.feed(stream);
  whole.end();
  ResponseFeeder pieces(asked, kLimits);
  std::size_t begin = 0;
  for (std::size_t cut : cuts) {
    cut = std::min(cut, stream.size());
    pieces.feed(stream.substr(begin, cut - begin));
    begin = cut;
  }
  pieces.feed(stream.substr(begin));
  pieces.end();
  EXPECT_EQ(pieces.log(), whole.log());
  return 0;
}
