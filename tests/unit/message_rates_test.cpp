// SPDX-License-Identifier: MIT
#include "websocket/message_rates.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

constexpr int kSenders[2] = {};
constexpr const void* kOne = &kSenders[0];
constexpr const void* kOther = &kSenders[1];

TEST(MessageRates, AreNotLimitedByDefault) {
  EXPECT_FALSE(MessageRates(MessageRate{}).are_limited());
  EXPECT_TRUE(MessageRates(MessageRate{0.1, 1}).are_limited());
}

TEST(MessageRates, AllowABurstAndThenARate) {
  MessageRates rates(MessageRate{10, 3});
  EXPECT_EQ(rates.allowed(kOne, 1000), 3U);
  rates.spend(kOne, 2);
  EXPECT_EQ(rates.allowed(kOne, 1000), 1U);
  rates.spend(kOne, 1);
  EXPECT_EQ(rates.allowed(kOne, 1099), 0U);
  EXPECT_EQ(rates.allowed(kOne, 1100), 1U);
  EXPECT_EQ(rates.allowed(kOne, 1250), 2U);
}

TEST(MessageRates, KeepNoMoreThanABurst) {
  MessageRates rates(MessageRate{10, 3});
  rates.allowed(kOne, 1000);
  rates.spend(kOne, 3);
  EXPECT_EQ(rates.allowed(kOne, 1000'000'000), 3U);
}

TEST(MessageRates, LoseNothingToRounding) {
  MessageRates rates(MessageRate{10, 1});
  rates.allowed(kOne, 0);
  for (std::uint64_t time_ms = 0; time_ms < 10'000; ++time_ms) {
    EXPECT_EQ(rates.allowed(kOne, time_ms), time_ms % 100 == 0 ? 1U : 0U) << time_ms;
    if (time_ms % 100 == 0) rates.spend(kOne, 1);
  }
}

TEST(MessageRates, CountEachSenderByItself) {
  MessageRates rates(MessageRate{1, 2});
  rates.allowed(kOne, 0);
  rates.spend(kOne, 2);
  EXPECT_EQ(rates.allowed(kOne, 0), 0U);
  EXPECT_EQ(rates.allowed(kOther, 0), 2U);
  rates.remove(kOne);
  rates.spend(kOne, 1);
  EXPECT_EQ(rates.allowed(kOne, 0), 2U);
}

}  // namespace
}  // namespace websockets
