// SPDX-License-Identifier: MIT
#include "websocket/ping_log.h"

#include <gtest/gtest.h>

#include <string>

namespace websockets {
namespace {

TEST(PingLog, TellsHowLongAPingWasUnderWay) {
  PingLog log;
  log.add("a", 100);
  log.add("b", 200);
  EXPECT_EQ(log.take("a", 1100), 1000U);
  EXPECT_EQ(log.take("b", 1100), 900U);
  EXPECT_EQ(log.take("a", 1100), std::nullopt);
}

TEST(PingLog, KnowsNothingOfAPongThatWasNotAskedFor) {
  PingLog log;
  EXPECT_EQ(log.take("", 1), std::nullopt);
  log.add("a", 1);
  EXPECT_EQ(log.take("", 2), std::nullopt);
  EXPECT_EQ(log.take("b", 2), std::nullopt);
  EXPECT_EQ(log.take("a", 2), 1U);
}

TEST(PingLog, TakesPingsOfTheSameDataInTheirOrder) {
  PingLog log;
  log.add("", 10);
  log.add("", 20);
  EXPECT_EQ(log.take("", 30), 20U);
  EXPECT_EQ(log.take("", 30), 10U);
}

TEST(PingLog, ForgetsThoseBeforeAnAnsweredOne) {
  PingLog log;
  log.add("a", 10);
  log.add("b", 20);
  EXPECT_EQ(log.take("b", 30), 10U);
  EXPECT_EQ(log.take("a", 30), std::nullopt);
}

TEST(PingLog, KeepsTheNewestOnes) {
  PingLog log;
  for (std::size_t i = 0; i <= PingLog::kMostPings; ++i) log.add(std::to_string(i), i);
  EXPECT_EQ(log.take("0", 100), std::nullopt);
  EXPECT_EQ(log.take("1", 100), 99U);
}

}  // namespace
}  // namespace websockets
