// SPDX-License-Identifier: MIT
// Frames in pieces, against the slow and plain reader of tests/unit: both find the same messages and the same error.
#include <algorithm>
#include <array>

#include "fuzz_support.h"
#include "reader_feeder.h"

using namespace websockets;
using namespace websockets::protocol_support;

namespace {

// What is read of a header is what would be written.
void check_header(const Bytes& stream) {
  FrameHeader header;
  ProtocolError error = ProtocolError::kNone;
  if (stream.empty() || parse_frame_header(stream, header, error) != HeaderStatus::kComplete) return;
  std::array<std::uint8_t, kMaxFrameHeaderBytes> written{};
  ASSERT_EQ(encode_frame_header(header, written.data()), header.header_bytes);
  EXPECT_EQ(frame_header_bytes(header), header.header_bytes);
  EXPECT_TRUE(std::equal(written.begin(), written.begin() + header.header_bytes, stream.begin()));
}

// `stream` goes on with a message of as many fragments as its bytes allow.
Bytes behind_fragments(const Bytes& stream, bool are_masked) {
  constexpr std::size_t kFragments = 1100;
  Bytes all = make_frame(
      {.opcode = Opcode::kBinary, .payload = std::string(16 * kFragments, 'x'), .fin = false, .masked = are_masked});
  const Bytes empty = make_frame({.opcode = Opcode::kContinuation, .fin = false, .masked = are_masked});
  for (std::size_t i = 1; i < kFragments; ++i) all.insert(all.end(), empty.begin(), empty.end());
  all.insert(all.end(), stream.begin(), stream.end());
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned flags = input.byte();
  ReceiveRules rules;
  rules.expect_masked = (flags & 1U) == 0;
  rules.check_utf8 = (flags & 2U) == 0;
  if ((flags & 4U) != 0) rules.max_message_bytes = 100;
  const FeedOptions& options = kAllOptions[(flags >> 3U) % std::size(kAllOptions)];
  const std::vector<std::size_t> cuts = fuzz::take_cuts(input, size);
  Bytes stream(input.rest().begin(), input.rest().end());
  check_header(stream);
  if (flags >= 208) stream = behind_fragments(stream, rules.expect_masked);
  std::vector<std::size_t> inside;
  for (const std::size_t cut : cuts) inside.push_back(std::min(cut, stream.size()));
  const Reference reference(stream, rules);
  const ProtocolError error = reference.outcome().error;
  if (error != ProtocolError::kNone) EXPECT_TRUE(is_wire_close_code(static_cast<unsigned>(describe(error).close_code)));
  expect_same(stream, inside, reference, rules, options);
  return 0;
}
