// SPDX-License-Identifier: MIT
#include "server/server_rules.h"

#include <gtest/gtest.h>

#include "http_exchange_fixture.h"

namespace websockets {
namespace {

using ServerRulesTest = HttpExchangeTest;

TEST_F(ServerRulesTest, CountsWhoIsRefused) {
  rules.refuse(RefusalReason::kOrigin, {});
  EXPECT_EQ(refused(RefusalReason::kOrigin), 1U);
  EXPECT_TRUE(refusals.empty());
}

TEST_F(ServerRulesTest, RemembersThemForAnOwnerWhoWantsToKnow) {
  options.reports_refusals = true;
  rules.refuse(RefusalReason::kOrigin, {.status = 403});
  EXPECT_EQ(refused(RefusalReason::kOrigin), 1U);
  const std::vector<Refusal> taken = refusals.take();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken.front().status, 403);
}

}  // namespace
}  // namespace websockets
