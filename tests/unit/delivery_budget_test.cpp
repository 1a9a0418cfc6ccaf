// SPDX-License-Identifier: MIT
#include "cluster/delivery_budget.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

TEST(DeliveryBudget, IsSpentBySoManyMessages) {
  DeliveryBudget budget;
  for (int i = 0; i < DeliveryBudget::kMessages; ++i) {
    EXPECT_FALSE(budget.is_spent());
    budget.spend(0);
  }
  EXPECT_TRUE(budget.is_spent());
}

TEST(DeliveryBudget, IsSpentBySoManyBytes) {
  DeliveryBudget budget;
  budget.spend(DeliveryBudget::kBytes - 1);
  EXPECT_FALSE(budget.is_spent());
  budget.spend(1);
  EXPECT_TRUE(budget.is_spent());
}

}  // namespace
}  // namespace websockets
