// SPDX-License-Identifier: MIT
#include "dial/retry_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <vector>

namespace websockets {
namespace {

// The most that each of the next attempts may wait.
std::vector<double> limits_of(RetryPolicy& policy, int count, double open_for = 0) {
  std::vector<double> limits;
  for (int i = 0; i < count; ++i) limits.push_back(policy.next_delay(open_for, {}, 1).value_or(-1));
  return limits;
}

TEST(RetryPolicyTest, GrowsUpToTheLargestDelay) {
  RetryPolicy policy({});
  EXPECT_EQ(limits_of(policy, 9), (std::vector<double>{1, 2, 4, 8, 16, 32, 60, 60, 60}));
  RetryPolicy constant({.delay = 5, .factor = 1});
  EXPECT_EQ(limits_of(constant, 3), (std::vector<double>{5, 5, 5}));
  RetryPolicy short_one({.delay = 5, .max_delay = 2});
  EXPECT_EQ(limits_of(short_one, 2), (std::vector<double>{2, 2}));
  RetryPolicy fractions({.delay = 0.25, .factor = 1.5, .max_delay = 0.5});
  EXPECT_EQ(limits_of(fractions, 3), (std::vector<double>{0.25, 0.375, 0.5}));
}

TEST(RetryPolicyTest, GrowsWhenWhatOpensIsLostAtOnceForEver) {
  RetryPolicy policy({});
  EXPECT_EQ(limits_of(policy, 1000, 29.9).back(), 60);
}

TEST(RetryPolicyTest, BeginsAnewAfterAStableOpening) {
  RetryPolicy policy({});
  limits_of(policy, 5);
  EXPECT_EQ(policy.next_delay(30, {}, 1), 1);
  EXPECT_EQ(limits_of(policy, 2), (std::vector<double>{2, 4}));
}

TEST(RetryPolicyTest, TakesNoOpeningForStableThatNeverWas) {
  RetryPolicy policy({.stable = 0});
  EXPECT_EQ(limits_of(policy, 3), (std::vector<double>{1, 2, 4}));
  EXPECT_EQ(policy.next_delay(0.001, {}, 1), 1);
}

TEST(RetryPolicyTest, EndsAfterItsAttempts) {
  RetryPolicy policy({.attempts = 3});
  EXPECT_EQ(limits_of(policy, 5), (std::vector<double>{1, 2, 4, -1, -1}));
  EXPECT_EQ(policy.next_delay(99, {}, 1), 1);  // they are counted from the last stable opening
  EXPECT_EQ(limits_of(policy, 3), (std::vector<double>{2, 4, -1}));
}

TEST(RetryPolicyTest, ObeysRetryAfter) {
  RetryPolicy policy({});
  EXPECT_EQ(policy.next_delay(0, 120, 0), 120);
  EXPECT_EQ(policy.next_delay(0, 120, 1), 122);  // not all clients at the same moment
  EXPECT_EQ(policy.next_delay(0, 0, 1), 4);
  EXPECT_EQ(policy.next_delay(0, -1, 1), 8);
}

TEST(RetryPolicyTest, DistributesDelaysEvenlyWithinTheirBounds) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<double> random(0, 1);
  std::array<int, 10> histogram{};
  constexpr int kTries = 10'000;
  for (int i = 0; i < kTries; ++i) {
    RetryPolicy policy({.delay = 10});
    const double delay = *policy.next_delay(0, {}, random(generator));
    ASSERT_GE(delay, 0);
    ASSERT_LE(delay, 10);
    ++histogram[std::min<std::size_t>(static_cast<std::size_t>(delay), 9)];
  }
  for (const int count : histogram) EXPECT_NEAR(count, kTries / 10, kTries / 50);
}

TEST(RetryPolicyTest, NeverWaitsLongerThanItMay) {
  std::mt19937 generator(2);
  std::uniform_real_distribution<double> random(0, 1);
  for (int i = 0; i < 200; ++i) {
    const RetryOptions options{.delay = 100 * random(generator),
                               .factor = 1 + 3 * random(generator),
                               .max_delay = 100 * random(generator),
                               .stable = 10 * random(generator)};
    RetryPolicy policy(options);
    for (int attempt = 0; attempt < 100; ++attempt) {
      const double delay = *policy.next_delay(20 * random(generator), {}, random(generator));
      EXPECT_GE(delay, 0);
      EXPECT_LE(delay, options.max_delay);
    }
  }
}

}  // namespace
}  // namespace websockets
