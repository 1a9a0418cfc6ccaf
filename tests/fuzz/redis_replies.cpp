// SPDX-License-Identifier: MIT
// What a Redis server says: the same replies in pieces as in one; what the reader holds of it is bounded.
#include <algorithm>
#include <string>

#include "cluster/redis_protocol.h"
#include "fuzz_support.h"

using namespace websockets;

namespace {

using Status = RedisReplyReader::Status;

constexpr std::size_t kMostReplyBytes = 8192;

struct Outcome {
  Status status = Status::kMore;
  std::string replies;
  bool operator==(const Outcome&) const = default;
};

// Appends it in words, and returns what it takes.
std::size_t describe(const RedisReply& reply, std::string& text) {
  text.push_back("nistTa"[static_cast<std::size_t>(reply.type)]);
  text.append(std::to_string(reply.integer)).append(":").append(reply.text).append("(");
  std::size_t bytes = sizeof(RedisReply) + reply.text.size();
  for (const RedisReply& element : reply.elements) bytes += describe(element, text);
  text.append(")");
  return bytes;
}

Outcome read(std::span<const std::uint8_t> stream, const std::vector<std::size_t>& cuts) {
  RedisReplyReader reader(kMostReplyBytes);
  Outcome outcome;
  std::size_t begin = 0;
  const auto feed = [&](std::size_t end) {
    if (end <= begin) return;
    const std::vector<std::uint8_t> piece(stream.begin() + static_cast<std::ptrdiff_t>(begin),
                                          stream.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
    std::span<const std::uint8_t> input(piece);
    for (;;) {
      RedisReply reply;
      outcome.status = reader.read(input, reply);
      if (outcome.status != Status::kReply) break;
      EXPECT_LE(describe(reply, outcome.replies), kMostReplyBytes);
    }
    EXPECT_TRUE(outcome.status != Status::kMore || input.empty());
    // What one reply takes, and a piece that comes behind it.
    EXPECT_LE(reader.held_bytes(), 2 * kMostReplyBytes + 16384);
  };
  for (const std::size_t cut : cuts) feed(std::min(cut, stream.size()));
  feed(stream.size());
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::vector<std::size_t> cuts = fuzz::take_cuts(input, size);
  const Outcome whole = read(input.rest(), {});
  EXPECT_EQ(read(input.rest(), cuts), whole);
  std::vector<std::size_t> each(std::min<std::size_t>(input.rest().size(), 4096));
  for (std::size_t i = 0; i < each.size(); ++i) each[i] = i;
  EXPECT_EQ(read(input.rest(), each), whole);
  return 0;
}
