// SPDX-License-Identifier: MIT
// The PROXY protocol: the same in pieces as in one; of what is behind the header nothing is taken.
#include "net/proxy_header.h"

#include <string>

#include "fuzz_support.h"

using namespace websockets;

namespace {

using Status = ProxyHeaderParser::Status;

struct Outcome {
  Status status = Status::kIncomplete;
  std::size_t taken = 0;
  ProxyHeaderParser::Source source{};
  std::string client;
  bool operator==(const Outcome&) const = default;
};

Outcome parse(std::span<const std::uint8_t> stream, const std::vector<std::size_t>& cuts) {
  ProxyHeaderParser parser;
  Outcome outcome;
  std::size_t begin = 0;
  const auto feed = [&](std::size_t end) {
    if (outcome.status != Status::kIncomplete || end <= begin) return;
    const std::vector<std::uint8_t> piece(stream.begin() + static_cast<std::ptrdiff_t>(begin),
                                          stream.begin() + static_cast<std::ptrdiff_t>(end));
    std::span<const std::uint8_t> input(piece);
    outcome.status = parser.consume(input);
    outcome.taken += piece.size() - input.size();
    if (outcome.status == Status::kIncomplete) EXPECT_TRUE(input.empty());
    begin = end;
  };
  for (const std::size_t cut : cuts) feed(std::min(cut, stream.size()));
  feed(stream.size());
  if (outcome.status != Status::kDone) return outcome;
  outcome.source = parser.source();
  if (outcome.source == ProxyHeaderParser::Source::kAddress) outcome.client = parser.client().text();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::vector<std::size_t> cuts = fuzz::take_cuts(input, size);
  const Outcome whole = parse(input.rest(), {});
  Outcome pieces = parse(input.rest(), cuts);
  if (whole.status == Status::kError) pieces.taken = whole.taken;  // what of it was taken is nobody's business then
  EXPECT_EQ(pieces, whole);
  if (whole.status == Status::kDone) EXPECT_GE(whole.taken, 15U);
  return 0;
}
