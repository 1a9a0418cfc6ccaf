// SPDX-License-Identifier: MIT
#include "websocket/cost.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "http/cost.h"
#include "http/request_parser.h"
#include "session_fixture.h"

namespace websockets {
namespace {

// What a session spends on frames that are masked with 0.
std::size_t cost_of(const std::string& frames) {
  session_support::Endpoint endpoint(Role::kServer);
  session_support::Side side(endpoint);
  session_support::Bytes bytes(frames.begin(), frames.end());
  std::span<std::uint8_t> input(bytes);
  Budget budget;
  side.session.receive(input, budget, 0);
  EXPECT_TRUE(input.empty());
  return kQuantum - budget.left();
}

std::size_t cost_of_head(std::string_view head) {
  RequestParser parser{RequestLimits{}};
  std::span<const std::uint8_t> input = as_bytes(head);
  Budget budget;
  parser.consume(input, budget);
  return kQuantum - budget.left();
}

TEST(Cost, OfMessages) {
  const std::string message("\x81\x82\0\0\0\0hi", 8);
  EXPECT_GE(cost_of(message), kCostOfMessage);
  EXPECT_GE(cost_of(message + message + message), 3 * kCostOfMessage);
  EXPECT_LE(cost_of(message + message + message), 3 * (kCostOfMessage + kCostOfFrame));
}

TEST(Cost, OfControlFrames) {
  const std::string pong("\x8A\x80\0\0\0\0", 6);
  const std::string ping("\x89\x80\0\0\0\0", 6);
  EXPECT_GE(cost_of(pong + pong), 2 * kCostOfFrame);
  EXPECT_GE(cost_of(ping), kCostOfFrame + kCostOfControlFrame);
}

TEST(Cost, OfTheLinesOfARequest) {
  constexpr std::string_view kShort = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_GE(cost_of_head(kShort), 3 * kCostOfLine);
  const std::string more_lines = "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\n\r\n";
  EXPECT_GE(cost_of_head(more_lines), cost_of_head(kShort) + 2 * kCostOfLine);
  const std::string longer_line = "GET / HTTP/1.1\r\nHost: " + std::string(800, 'x') + "\r\n\r\n";
  EXPECT_GE(cost_of_head(longer_line), cost_of_head(kShort) + 799 / kLineBytesPerUnit);
}

}  // namespace
}  // namespace websockets
