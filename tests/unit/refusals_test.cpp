// SPDX-License-Identifier: MIT
#include "server/refusals.h"

#include <gtest/gtest.h>

#include <string>

namespace websockets {
namespace {

TEST(Refusals, AreTakenOnce) {
  Refusals refusals;
  EXPECT_TRUE(refusals.empty());
  refusals.add(RefusalReason::kOrigin, {nullptr, nullptr, 403, "no"});
  EXPECT_FALSE(refusals.empty());
  const std::vector<Refusal> taken = refusals.take();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken.front().reason, RefusalReason::kOrigin);
  EXPECT_EQ(taken.front().status, 403);
  EXPECT_EQ(taken.front().message, "no");
  EXPECT_EQ(taken.front().address, "");
  EXPECT_TRUE(refusals.empty());
}

TEST(Refusals, AreLimited) {
  Refusals refusals;
  const std::string text(2 * Refusals::kMostBytes, 'x');
  for (std::size_t i = 0; i < 2 * Refusals::kMostRefusals; ++i) {
    refusals.add(RefusalReason::kUpgrade, {nullptr, nullptr, static_cast<int>(i), text});
  }
  const std::vector<Refusal> taken = refusals.take();
  ASSERT_EQ(taken.size(), Refusals::kMostRefusals);
  EXPECT_EQ(taken.front().status, 0);
  EXPECT_EQ(taken.front().message.size(), Refusals::kMostBytes);
}

}  // namespace
}  // namespace websockets
