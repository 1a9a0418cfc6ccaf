// SPDX-License-Identifier: MIT
#include "server/options.h"

#include <gtest/gtest.h>

#include "base/memory_budget.h"
#include "base/output_queue.h"
#include "session_fixture.h"
#include "websocket/session_rules.h"

namespace websockets {
namespace {

// What nobody has set is the same whoever makes the session.
TEST(ContextOptions, HasTheDefaultsOfSessionRules) {
  MemoryBudget memory(0);
  OutputPool pool(memory);
  SessionStats stats;
  MessageRates rates{{}};
  session_support::HandlerOfEach handler;
  const SessionRules session{
      .frames = FrameWriter(pool), .handler = handler, .memory = memory, .stats = stats, .rates = rates};
  const ContextOptions options;
  EXPECT_EQ(options.max_backpressure_bytes, session.max_backpressure_bytes);
  EXPECT_EQ(options.close_timeout_ms, session.close_timeout_ms);
  EXPECT_EQ(options.rules.max_message_bytes, session.receive.max_message_bytes);
  EXPECT_EQ(options.rules.expect_masked, session.receive.expect_masked);
}

TEST(ContextOptions, ListensNowhereAndLimitsWhatOneClientTakes) {
  const ContextOptions options;
  EXPECT_EQ(options.port, 0U);
  EXPECT_TRUE(options.listen.empty());
  EXPECT_FALSE(options.uid || options.gid);
  EXPECT_FALSE(options.tls.enabled());
  EXPECT_GT(options.rules.max_message_bytes, 0U);
  EXPECT_GT(options.max_backpressure_bytes, 0U);
  EXPECT_GT(options.handshake_timeout_ms, 0U);
  EXPECT_GT(options.keepalive_timeout_ms, options.handshake_timeout_ms);
  EXPECT_GE(options.max_body_memory_bytes, options.request_limits.max_body_bytes);
}

}  // namespace
}  // namespace websockets
