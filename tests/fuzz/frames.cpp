// SPDX-License-Identifier: MIT
// Frames in pieces, against the slow and plain reader of tests/unit: both find the same messages and the same error.
#include "assembler_feeder.h"
#include "fuzz_support.h"

using namespace websockets;
using namespace websockets::protocol_support;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned flags = input.byte();
  AssemblerRules rules;
  rules.expect_masked = (flags & 1U) == 0;
  rules.check_utf8 = (flags & 2U) == 0;
  if ((flags & 4U) != 0) rules.max_message_bytes = 100;
  const FeedOptions& options = kAllOptions[(flags >> 3U) % std::size(kAllOptions)];
  const std::vector<std::size_t> cuts = fuzz::take_cuts(input, size);
  const Bytes stream(input.rest().begin(), input.rest().end());
  std::vector<std::size_t> inside;
  for (const std::size_t cut : cuts) inside.push_back(std::min(cut, stream.size()));
  const Reference reference(stream, rules);
  const ProtocolError error = reference.outcome().error;
  if (error != ProtocolError::kNone) EXPECT_TRUE(is_wire_close_code(static_cast<unsigned>(describe(error).close_code)));
  expect_same(stream, inside, reference, rules, options);
  return 0;
}
