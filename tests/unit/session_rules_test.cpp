// SPDX-License-Identifier: MIT
#include "websocket/session_rules.h"

#include <gtest/gtest.h>

#include <numeric>

#include "session_fixture.h"

namespace websockets {
namespace {

TEST(SessionRulesTest, WhoMasksIsAClient) {
  EXPECT_EQ(session_support::Endpoint(Role::kServer).rules.role(), Role::kServer);
  EXPECT_EQ(session_support::Endpoint(Role::kClient).rules.role(), Role::kClient);
}

TEST(SessionStatsTest, CountsCloseCodes) {
  SessionStats stats;
  stats.close(CloseCode::kNormal);
  stats.close(CloseCode::kTlsHandshake);
  stats.close(static_cast<CloseCode>(1016));
  stats.close(static_cast<CloseCode>(4999));
  EXPECT_EQ(stats.closed[0], 1U);
  EXPECT_EQ(stats.closed[15], 1U);
  EXPECT_EQ(stats.closed[16], 2U);  // what peers may choose freely
  EXPECT_EQ(std::accumulate(stats.closed.begin(), stats.closed.end(), 0U), 4U);
}

}  // namespace
}  // namespace websockets
