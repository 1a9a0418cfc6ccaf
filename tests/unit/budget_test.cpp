// SPDX-License-Identifier: MIT
#include "base/budget.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>

namespace websockets {
namespace {

TEST(Budget, IsSpentToTheLastUnit) {
  Budget budget(10);
  budget.spend(9);
  EXPECT_FALSE(budget.is_spent());
  EXPECT_EQ(budget.left(), 1U);
  budget.spend(1);
  EXPECT_TRUE(budget.is_spent());
  EXPECT_EQ(budget.left(), 0U);
  EXPECT_EQ(budget.overdraft(), 0U);
}

TEST(Budget, KnowsWhatWasSpentBeyondIt) {
  Budget budget(10);
  budget.spend(25);
  budget.spend(5);
  EXPECT_TRUE(budget.is_spent());
  EXPECT_EQ(budget.left(), 0U);
  EXPECT_EQ(budget.overdraft(), 20U);
}

TEST(Budget, TakesAnyCost) {
  Budget budget;
  for (int i = 0; i < 3; ++i) budget.spend(std::numeric_limits<std::size_t>::max());
  EXPECT_TRUE(budget.is_spent());
  EXPECT_GT(budget.overdraft(), kQuantum);
}

}  // namespace
}  // namespace websockets
