// SPDX-License-Identifier: MIT
#include "cluster/redis_backplane.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "dial/tls_client_contexts.h"
#include "fake_receiver.h"
#include "loop/background_tasks.h"
#include "loop_fixture.h"
#include "server/hub.h"
#include "server/options.h"

namespace websockets {
namespace {

ContextOptions hub_options() {
  ContextOptions options;
  options.protocols = {"chat"};
  return options;
}

// Of a cluster whose servers are not reached: each is a unix socket that is not there.
class RedisBackplaneTest : public LoopFixture, public RedisBackplaneOwner {
 protected:
  static constexpr std::size_t kMostBytes = 100;

  static ClusterOptions options(std::size_t servers) {
    ClusterOptions result;
    for (std::size_t i = 0; i < servers; ++i) {
      result.servers.push_back({*parse_redis_url("redis+unix:/no/such/socket" + std::to_string(i)), {}});
    }
    result.history.prefixes = {"room/"};
    return result;
  }
  void on_cluster(ClusterEvent event, std::string_view why) override { events.emplace_back(event, why); }
  void on_cluster_report(std::string_view text) override { reports.emplace_back(text); }
  bool wrap(std::string_view, Opcode&, std::string_view, std::string_view, std::string&) override { return false; }

  BackgroundTasks tasks{loop()};
  TlsClientContexts tls{tasks};
  const DialServices services{loop(), tasks, tls, nullptr};
  FakeReceiverOwner receivers;
  MemoryBudget memory{0};
  const ContextOptions made_from = hub_options();
  Hub hub{made_from, receivers, memory};
  std::vector<std::pair<ClusterEvent, std::string>> events;
  std::vector<std::string> reports;
};

TEST_F(RedisBackplaneTest, DeliversHereWhatItCannotSend) {
  RedisBackplane backplane(services, options(1), kMostBytes, hub, *this);
  backplane.start();
  while (events.empty()) loop().service(-1);
  EXPECT_EQ(events[0].first, ClusterEvent::kDown);
  EXPECT_NE(events[0].second.find("/no/such/socket0"), std::string::npos) << events[0].second;
  EXPECT_EQ(reports, std::vector<std::string>{});

  FakeReceiver receiver;
  hub.join(receiver, hub.subprotocols()[0]);
  hub.subscribe(receiver, "news");
  hub.subscribe(receiver, "room/1");
  const Hub::Published published = hub.publish("news", Opcode::kText, as_bytes("1"));
  EXPECT_EQ(published.status, DeliveryStatus::kLocalOnly);
  EXPECT_EQ(published.receivers, 1U);
  EXPECT_EQ(hub.broadcast(hub.subprotocols()[0], as_bytes("2")), DeliveryStatus::kLocalOnly);
  EXPECT_EQ(hub.publish("room/1", Opcode::kText, as_bytes("3")).status, DeliveryStatus::kClusterDown);
  EXPECT_EQ(receiver.got, (std::vector<std::string>{"t:1", "t:2"}));
  hub.leave(receiver);
  hub.remove(receiver);
}

TEST_F(RedisBackplaneTest, TakesNothingThatIsTooLarge) {
  RedisBackplane backplane(services, options(1), kMostBytes, hub, *this);
  const std::string large(kMostBytes + 1, 'x');
  EXPECT_EQ(hub.publish("news", Opcode::kText, as_bytes(large)).status, DeliveryStatus::kTooLarge);
  EXPECT_EQ(hub.publish("room/1", Opcode::kText, as_bytes(large)).status, DeliveryStatus::kTooLarge);
  EXPECT_EQ(hub.broadcast(hub.subprotocols()[0], as_bytes(large)), DeliveryStatus::kTooLarge);
}

TEST_F(RedisBackplaneTest, KnowsWhichTopicsRemember) {
  const RedisBackplane backplane(services, options(1), kMostBytes, hub, *this);
  EXPECT_TRUE(backplane.has_history("room/"));
  EXPECT_TRUE(backplane.has_history("room/1"));
  EXPECT_FALSE(backplane.has_history("room"));
  EXPECT_FALSE(backplane.has_history(""));
}

TEST_F(RedisBackplaneTest, MovesTopicsToAFurtherServerOnly) {
  RedisBackplane three(services, options(3), kMostBytes, hub, *this);
  std::map<std::string, std::string> before;
  for (int i = 0; i < 3000; ++i) {
    const std::string topic = "topic " + std::to_string(i);
    before[topic] = three.place_of(topic);
  }
  RedisBackplane four(services, options(4), kMostBytes, hub, *this);
  std::map<std::string, int> counts;
  int moved = 0;
  for (const auto& [topic, place] : before) {
    const std::string now = four.place_of(topic);
    ++counts[now];
    if (now == place) continue;
    ++moved;
    EXPECT_EQ(now, "redis+unix:/no/such/socket3");
  }
  EXPECT_GT(moved, 600);
  EXPECT_LT(moved, 900);
  for (const auto& [place, count] : counts) EXPECT_GT(count, 600) << place;
  EXPECT_EQ(counts.size(), 4U);
}

}  // namespace
}  // namespace websockets
