// SPDX-License-Identifier: MIT
#include "client/client_rules.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "client_fixture.h"

namespace websockets {
namespace {

class ClientRulesTest : public LoopFixture {
 protected:
  FakeClientHandler handler{log};
  session_support::CountingKeys keys;
  ClientSessions sessions{loop(), keys, handler};
  ClientRulesPool pool{sessions};
};

TEST_F(ClientRulesTest, SayWhatTheOptionsSay) {
  ClientOptions options;
  options.max_message_bytes = 1;
  options.check_utf8 = false;
  options.keepalive = {2, 3};
  options.max_backpressure_bytes = 4;
  options.close_timeout_ms = 5;
  const auto rules = pool.rules_for(options);
  const SessionRules& session = rules->session;
  EXPECT_EQ(session.receive.max_message_bytes, 1U);
  EXPECT_FALSE(session.receive.check_utf8);
  EXPECT_FALSE(session.receive.expect_masked);
  EXPECT_EQ(session.receive.partial_messages, &sessions.partial_messages);
  EXPECT_EQ(session.keepalive, (KeepaliveRules{2, 3}));
  EXPECT_EQ(session.max_backpressure_bytes, 4U);
  EXPECT_EQ(session.close_timeout_ms, 5U);
  EXPECT_EQ(session.role(), Role::kClient);
  EXPECT_EQ(rules->compression, nullptr);
}

TEST_F(ClientRulesTest, EqualOptionsShareThem) {
  ClientOptions options;
  const auto rules = pool.rules_for(options);
  options.url = "ws://elsewhere.example";  // no matter of a session
  EXPECT_EQ(pool.rules_for(options), rules);
  options.compression.emplace();
  EXPECT_NE(pool.rules_for(options)->compression, nullptr);
}

TEST_F(ClientRulesTest, OthersDoNot) {
  const std::vector<std::function<void(ClientOptions&)>> changes = {
      [](ClientOptions& options) { options.max_message_bytes = 1; },
      [](ClientOptions& options) { options.check_utf8 = false; },
      [](ClientOptions& options) { options.keepalive.ping_interval_ms = 1; },
      [](ClientOptions& options) { options.keepalive.idle_timeout_ms = 1; },
      [](ClientOptions& options) { options.max_backpressure_bytes = 1; },
      [](ClientOptions& options) { options.close_timeout_ms = 1; },
      [](ClientOptions& options) { options.compression.emplace(); },
      [](ClientOptions& options) { options.compression.emplace().level = 1; },
      [](ClientOptions& options) { options.compression.emplace().wanted.server_no_context_takeover = true; }};
  std::vector<std::shared_ptr<const ClientRules>> all{pool.rules_for({})};
  for (const auto& change : changes) {
    ClientOptions options;
    change(options);
    const auto rules = pool.rules_for(options);
    for (const auto& other : all) EXPECT_NE(other, rules);
    all.push_back(rules);
  }
}

TEST_F(ClientRulesTest, ThoseOfNobodyAreFreed) {
  std::weak_ptr<const ClientRules> rules = pool.rules_for({});
  EXPECT_TRUE(rules.expired());
  EXPECT_NE(pool.rules_for({}), nullptr);
}

TEST_F(ClientRulesTest, OnlyTheLatestAreLookedAt) {
  const auto first = pool.rules_for({});
  std::vector<std::shared_ptr<const ClientRules>> kept;
  for (std::uint64_t limit = 1; limit <= 16; ++limit) {
    ClientOptions options;
    options.max_message_bytes = limit;
    kept.push_back(pool.rules_for(options));
  }
  EXPECT_NE(pool.rules_for({}), first);
}

}  // namespace
}  // namespace websockets
