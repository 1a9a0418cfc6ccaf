// SPDX-License-Identifier: MIT
#include "cluster/topic_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "cluster/cluster_message.h"
#include "cluster/history_position.h"
#include "fake_history_redis.h"
#include "fake_receiver.h"

namespace websockets {
namespace {

using Got = FakeReceiver::Got;

constexpr std::string_view kReplication = "0123456789abcdef";

TopicHistoryOptions options_with(std::size_t size) {
  TopicHistoryOptions options;
  options.size = size;
  options.origin = "here";
  return options;
}

// A process with a hub, and its history at a fake server.
class TopicHistoryFixture : public TopicHistoryOwner {
 public:
  explicit TopicHistoryFixture(const TopicHistoryOptions& options) : history(redis, hub.hub, options, *this) {}
  ~TopicHistoryFixture() { EXPECT_EQ(hub.memory.used(), 0U); }

  std::string history_name(char kind, std::string_view topic) const override {
    return std::string(1, kind) + ':' + std::string(topic);
  }
  bool wrap(std::string_view topic, Opcode& opcode, std::string_view data, std::string_view position,
            std::string& wrapped) override {
    return on_wrap != nullptr && on_wrap(topic, opcode, data, position, wrapped);
  }
  void on_history_gap(std::string_view topic) override { ++gaps[std::string(topic)]; }
  void on_history_error(std::string_view topic, const std::string& why) override {
    errors.push_back(std::string(topic) + ": " + why);
  }

  void subscribe(FakeReceiver& receiver, const std::string& topic) {
    if (hub.hub.topics().count(topic) == 0) {
      history.on_topic(topic);
      if (redis.is_up) redis.subscribe("h:" + topic);
    }
    hub.hub.subscribe(receiver, topic);
  }
  void unsubscribe(FakeReceiver& receiver, const std::string& topic) {
    if (!hub.hub.unsubscribe(receiver, topic)) return;
    const bool is_last = hub.hub.topics().count(topic) == 0;
    history.on_unsubscribed(receiver, topic, is_last);
    if (is_last) redis.unsubscribe("h:" + topic);
  }
  void link_up(std::string_view replication = kReplication) {
    std::set<std::string> channels;
    for (const auto& [topic, count] : hub.hub.topics().list()) channels.insert("h:" + topic);
    redis.set_subscriptions(std::move(channels));
    redis.is_up = true;
    history.on_link_up(replication);
  }
  void link_down(std::size_t taken = 0, bool says_so_first = false) {
    if (says_so_first) history.on_link_down();
    redis.cut(taken);
    if (!says_so_first) history.on_link_down();
  }

  // The next message, or confirmation, of the subscription.
  void arrive() {
    const FakeHistoryRedis::Arrival one = std::move(redis.arrivals.front());
    redis.arrivals.pop_front();
    const std::string topic = one.channel.substr(2);
    if (!one.payload) {
      history.on_subscribed(topic);
    } else {
      history.on_message(topic, *ClusterMessage::parse(as_bytes(*one.payload)));
    }
  }
  // Until nothing is on the way.
  void settle() {
    constexpr int kManySteps = 1'000'000;
    for (int steps = 0; steps < kManySteps; ++steps) {
      if (!redis.arrivals.empty()) {
        arrive();
      } else if (redis.sent() > 0) {
        redis.execute();
      } else if (redis.replies() > 0) {
        redis.reply();
      } else if (history.has_more()) {
        history.deliver();
      } else {
        return;
      }
    }
    FAIL() << "it never ends";
  }

  void publish(const std::string& topic, const std::string& data, std::uint64_t sender = 0) {
    EXPECT_TRUE(history.publish(topic, Opcode::kText, as_bytes(data), sender));
  }
  // By another process, at once.
  void publish_elsewhere(const std::string& topic, const std::string& data, std::size_t size = 100) {
    redis.publish("s:" + topic, "h:" + topic, next_epoch(), size, "1 t there 7\n", data);
  }
  std::string next_epoch() { return "e" + std::to_string(++epochs); }
  bool has_gaps() const {
    return std::any_of(gaps.begin(), gaps.end(), [](const auto& one) { return one.second > 0; });
  }
  void forget(const std::string& topic) { redis.histories.erase("s:" + topic); }

  FakeHistoryRedis redis;
  FakeHub hub;
  std::function<bool(std::string_view, Opcode&, std::string_view, std::string_view, std::string&)> on_wrap;
  std::map<std::string, int> gaps;
  std::vector<std::string> errors;
  int epochs = 0;
  TopicHistory history;
};

class TopicHistoryTest : public ::testing::Test, public TopicHistoryFixture {
 protected:
  explicit TopicHistoryTest(std::size_t size = 5) : TopicHistoryFixture(options_with(size)) { link_up(); }

  FakeReceiver& open() {
    FakeReceiver& receiver = receivers.emplace_back();
    hub.hub.join(receiver, hub.hub.subprotocols()[0]);
    return receiver;
  }
  FakeReceiver& open(const std::string& topic) {
    FakeReceiver& receiver = open();
    subscribe(receiver, topic);
    return receiver;
  }
  void close(FakeReceiver& receiver, const std::string& topic) {
    unsubscribe(receiver, topic);
    hub.hub.leave(receiver);
    hub.hub.remove(receiver);
  }
  // Notes what it is told among what it gets.
  void begin(FakeReceiver& receiver, const std::string& topic, std::optional<std::string> since = std::nullopt) {
    EXPECT_TRUE(history.begin(receiver, topic, since ? std::optional<std::string_view>(*since) : std::nullopt,
                              [this, &receiver](bool recovered, const std::string& position, const char* why) {
                                receiver.got.push_back(std::string(recovered ? "recovered" : "begins") +
                                                       (why == nullptr ? "" : std::string(":") + why));
                                last_position = position;
                              }));
  }
  FakeReceiver& open_since(const std::string& topic, std::optional<std::string> since) {
    FakeReceiver& receiver = open(topic);
    begin(receiver, topic, std::move(since));
    return receiver;
  }
  // Behind the message of that offset.
  std::string position(const std::string& topic, std::uint64_t offset) {
    return HistoryPosition{redis.histories["s:" + topic].epoch, std::string(kReplication.substr(0, 8)), offset}.text();
  }

  std::deque<FakeReceiver> receivers;
  std::string last_position;
};

// --- Live ---

TEST_F(TopicHistoryTest, DeliversWhatIsPublishedWhenRedisSendsItBack) {
  FakeReceiver& a = open("news");
  FakeReceiver& b = open("news");
  settle();
  publish("news", "1", a.serial());
  EXPECT_EQ(b.got, Got{});
  settle();
  EXPECT_EQ(std::tuple(a.got, b.got), std::tuple(Got{}, Got{"t:1"}));
  publish_elsewhere("news", "2");
  settle();
  EXPECT_EQ(std::tuple(a.got, b.got), std::tuple(Got{"t:2"}, Got{"t:1", "t:2"}));
  EXPECT_FALSE(has_gaps());
}

TEST_F(TopicHistoryTest, TakesNothingWhileRedisCannotBeReached) {
  link_down();
  EXPECT_FALSE(history.publish("news", Opcode::kText, as_bytes("1"), 0));
  link_up();
  redis.is_full = true;
  EXPECT_FALSE(history.publish("news", Opcode::kText, as_bytes("1"), 0));
}

// However much of it the server had done when the link was lost.
TEST_F(TopicHistoryTest, PublishesOnceWhatMayHaveBeenLost) {
  for (std::size_t taken = 0; taken <= 4; ++taken) {
    SCOPED_TRACE(taken);
    const std::string topic = "news " + std::to_string(taken);
    FakeReceiver& a = open(topic);
    settle();
    for (const char* data : {"1", "2", "3"}) publish(topic, data);
    link_down(taken, taken % 2 == 0);
    EXPECT_FALSE(history.publish(topic, Opcode::kText, as_bytes(std::string_view("no")), 0));
    redis.is_full = true;
    link_up();
    EXPECT_TRUE(history.is_refused());
    EXPECT_FALSE(history.publish(topic, Opcode::kText, as_bytes(std::string_view("no")), 0)) << "it would be first";
    redis.is_full = false;
    history.retry();
    publish(topic, "4");
    settle();
    EXPECT_EQ(a.got, (Got{"t:1", "t:2", "t:3", "t:4"}));
  }
  EXPECT_FALSE(has_gaps());
}

// Such a reply says that the link is about to be lost, too.
TEST_F(TopicHistoryTest, PublishesAgainWhatAMasterThatIsNoneAnyMoreHasRefused) {
  FakeReceiver& a = open("news");
  settle();
  for (const char* data : {"1", "2", "3"}) publish("news", data);
  redis.execute();
  redis.refuse("READONLY You can't write against a read only replica.");
  redis.reply();
  redis.reply();
  EXPECT_FALSE(history.publish("news", Opcode::kText, as_bytes(std::string_view("no")), 0));
  link_down();
  link_up();
  settle();
  EXPECT_EQ(a.got, (Got{"t:1", "t:2", "t:3"}));
  EXPECT_EQ(errors, std::vector<std::string>());
}

TEST_F(TopicHistoryTest, PublishesLaterWhatRedisDoesNotTakeNow) {
  const char* const why = "OOM command not allowed";
  FakeReceiver& a = open("news");
  settle();
  for (const char* data : {"1", "2", "3"}) publish("news", data);
  for (int i = 0; i < 2; ++i) redis.refuse(why);
  redis.execute();
  settle();
  EXPECT_EQ(a.got, (Got{"t:3", "t:1", "t:2"})) << "those that were refused come behind what was taken";
  EXPECT_FALSE(history.is_refused());

  publish("news", "4");
  for (int i = 0; i < 3; ++i) {
    redis.refuse(why);
    redis.reply();
    EXPECT_TRUE(history.is_refused());
    EXPECT_FALSE(history.publish("news", Opcode::kText, as_bytes(std::string_view("no")), 0)) << "it would be first";
    history.retry();
  }
  settle();
  publish("news", "5");
  settle();
  EXPECT_EQ(a.got, (Got{"t:3", "t:1", "t:2", "t:4", "t:5"}));
  EXPECT_EQ(errors, std::vector<std::string>(5, std::string("news: ") + why));
  EXPECT_FALSE(has_gaps());
}

TEST_F(TopicHistoryTest, PublishesNoMoreWhatRedisRefusesOfThisTopic) {
  open("news");
  settle();
  publish("news", "1");
  redis.refuse("WRONGTYPE Operation against a key");
  settle();
  EXPECT_FALSE(history.is_refused());
  EXPECT_EQ(errors, (std::vector<std::string>{"news: WRONGTYPE Operation against a key"}));
}

TEST_F(TopicHistoryTest, KeepsTheOrderWhenRedisForgetsItsScripts) {
  FakeReceiver& a = open("news");
  settle();
  publish("news", "1");
  settle();
  redis.forget_scripts();
  publish("news", "2");
  publish("news", "3");
  redis.execute();
  redis.execute();
  redis.reply();  // the text goes with the second one
  publish("news", "4");
  redis.execute();  // now it is known
  publish("news", "5");
  settle();
  EXPECT_EQ(a.got, (Got{"t:1", "t:2", "t:3", "t:4", "t:5"}));
}

TEST_F(TopicHistoryTest, ReadsWhatIsMissing) {
  FakeReceiver& a = open("news");
  publish_elsewhere("news", "1");
  settle();
  publish_elsewhere("news", "2");
  publish_elsewhere("news", "3");
  redis.arrivals.pop_front();
  redis.arrivals.pop_front();
  publish_elsewhere("news", "4");
  arrive();
  EXPECT_EQ(a.got, Got{});
  settle();
  EXPECT_EQ(a.got, (Got{"t:2", "t:3", "t:4"}));
  EXPECT_FALSE(has_gaps());
}

TEST_F(TopicHistoryTest, DropsWhatComesTwice) {
  FakeReceiver& a = open("news");
  settle();
  publish_elsewhere("news", "1");
  redis.arrivals.push_back(redis.arrivals.front());
  settle();
  EXPECT_EQ(a.got, Got{"t:1"});
}

TEST_F(TopicHistoryTest, SaysThatMessagesWereLost) {
  FakeReceiver& a = open("news");
  settle();
  for (int i = 1; i <= 9; ++i) publish_elsewhere("news", std::to_string(i), 5);
  redis.arrivals.erase(redis.arrivals.begin(), redis.arrivals.begin() + 8);
  settle();
  EXPECT_EQ(gaps["news"], 1);
  publish_elsewhere("news", "10");
  settle();
  EXPECT_EQ(a.got, Got{"t:10"});
}

TEST_F(TopicHistoryTest, GoesOnWhenAnIdleHistoryWasForgotten) {
  FakeReceiver& a = open("news");
  settle();
  for (const char* data : {"1", "2"}) {
    publish_elsewhere("news", data);
    settle();
    forget("news");
  }
  EXPECT_EQ(a.got, (Got{"t:1", "t:2"}));
  EXPECT_FALSE(has_gaps());
}

TEST_F(TopicHistoryTest, ReadsWhatWasMissedWhenTheLinkIsUpAgain) {
  FakeReceiver& a = open("news");
  settle();
  publish("news", "1", a.serial());
  settle();
  link_down();
  publish_elsewhere("news", "2");
  redis.publish("s:news", "h:news", "", 5, "1 b here " + std::to_string(a.serial()) + "\n", "3");
  publish_elsewhere("news", "4");
  link_up();
  settle();
  EXPECT_EQ(a.got, (Got{"t:2", "t:4"}));
  EXPECT_FALSE(has_gaps());
}

TEST_F(TopicHistoryTest, SaysThatMessagesWereLostWhileTheLinkWasDown) {
  open("trimmed");
  open("flushed");
  open("idle");
  for (const char* topic : {"trimmed", "flushed", "idle"}) publish_elsewhere(topic, "1");
  settle();
  forget("idle");
  link_down();
  for (int i = 0; i < 9; ++i) publish_elsewhere("trimmed", "2", 5);
  forget("flushed");
  for (int i = 0; i < 9; ++i) publish_elsewhere("flushed", "2", 5);
  link_up();
  settle();
  EXPECT_EQ(gaps, (std::map<std::string, int>{{"trimmed", 1}, {"flushed", 1}}));
  link_down();
  link_up("another");
  settle();
  EXPECT_EQ(gaps, (std::map<std::string, int>{{"trimmed", 2}, {"flushed", 2}, {"idle", 1}}));
}

// --- Recovery ---

TEST_F(TopicHistoryTest, TellsWhereItBegins) {
  FakeReceiver& a = open_since("news", std::nullopt);
  publish_elsewhere("news", "0");
  settle();
  publish_elsewhere("news", "1");
  settle();
  EXPECT_EQ(a.got, (Got{"begins", "t:1"}));
  EXPECT_EQ(last_position, position("news", 1));
}

TEST_F(TopicHistoryTest, TellsWhereItBeginsWhenThereIsNoHistoryYet) {
  FakeReceiver& a = open_since("news", std::nullopt);
  settle();
  EXPECT_EQ(last_position, position("news", 0));
  close(a, "news");
  publish_elsewhere("news", "1");
  FakeReceiver& b = open_since("news", last_position);
  settle();
  EXPECT_EQ(b.got, (Got{"recovered", "t:1"}));
}

TEST_F(TopicHistoryTest, GivesWhatWasMissedToOneAlone) {
  FakeReceiver& a = open("news");
  settle();
  for (const char* data : {"1", "2", "3"}) publish_elsewhere("news", data);
  settle();
  FakeReceiver& b = open_since("news", position("news", 1));
  publish_elsewhere("news", "4");
  arrive();
  EXPECT_EQ(a.got.size(), 4U);
  settle();
  EXPECT_EQ(b.got, (Got{"recovered", "t:2", "t:3", "t:4"}));
  EXPECT_EQ(a.got, (Got{"t:1", "t:2", "t:3", "t:4"}));
  FakeReceiver& c = open_since("news", position("news", 4));
  settle();
  publish_elsewhere("news", "5");
  settle();
  EXPECT_EQ(c.got, (Got{"recovered", "t:5"}));
  EXPECT_EQ(b.got.back(), "t:5");
}

TEST_F(TopicHistoryTest, SaysWhyItCannotGiveWhatWasMissed) {
  FakeReceiver& a = open("news");
  settle();
  for (int i = 1; i <= 9; ++i) publish_elsewhere("news", std::to_string(i), 5);
  settle();
  const std::string here = position("news", 9);
  const std::map<std::string, std::string> cases{
      {position("news", 3), "trimmed"},
      {position("news", 10), "beyond"},
      {"e99" + here.substr(here.find('.')), "epoch"},
      {here.substr(0, here.find('.')) + ".other.9", "epoch"},
      {"", "malformed"},
      {"e1.0123.x", "malformed"},
      {"e1..1", "malformed"},
      {std::string("e1\0.0.1", 7), "malformed"},
  };
  for (const auto& [since, why] : cases) {
    FakeReceiver& b = open_since("news", since);
    settle();
    EXPECT_EQ(b.got, Got{"begins:" + why}) << since;
    EXPECT_EQ(last_position, here);
  }
  forget("news");
  FakeReceiver& b = open_since("news", position("news", 8));
  begin(a, "news", here);
  settle();
  EXPECT_EQ(b.got, Got{"begins:malformed"});  // there is no epoch to make one of
  FakeReceiver& c = open_since("news", here.substr(0, here.size() - 1) + "8");
  settle();
  EXPECT_EQ(c.got, Got{"begins:expired"});
  EXPECT_EQ(a.got.back(), "recovered");  // nothing was missed, which this process knows
  EXPECT_FALSE(has_gaps());
}

TEST_F(TopicHistoryTest, ServesManyByTheSameRead) {
  open("news");
  settle();
  for (int i = 1; i <= 5; ++i) publish_elsewhere("news", std::to_string(i));
  settle();
  int wraps = 0;
  on_wrap = [&](auto&&...) { return ++wraps, false; };
  const int reads = redis.reads;
  for (int i = 0; i < 1000; ++i) open_since("news", position("news", 2 + static_cast<unsigned>(i) % 3));
  settle();
  EXPECT_LE(redis.reads - reads, 3);
  EXPECT_LE(wraps, 6);
  for (std::size_t i = 1; i < receivers.size(); ++i) {
    EXPECT_EQ(receivers[i].got.front(), "recovered");
    EXPECT_EQ(receivers[i].got.size(), 4 - (i - 1) % 3);
    EXPECT_EQ(receivers[i].got.back(), "t:5");
  }
}

TEST_F(TopicHistoryTest, ForgetsWhoGoes) {
  open("news");
  settle();
  publish_elsewhere("news", "1");
  settle();
  FakeReceiver& b = open_since("news", position("news", 0));
  history.deliver();
  unsubscribe(b, "news");
  settle();
  EXPECT_EQ(b.got, Got{});
  subscribe(b, "news");
  publish_elsewhere("news", "2");
  settle();
  EXPECT_EQ(b.got, Got{"t:2"});
}

// Wherever it is then.
TEST_F(TopicHistoryTest, BeginsAgain) {
  FakeReceiver& a = open("news");
  settle();
  for (const char* data : {"1", "2", "3"}) publish_elsewhere("news", data);
  settle();
  a.got.clear();
  for (int deliveries = 0; deliveries <= 3; ++deliveries) {
    SCOPED_TRACE(deliveries);
    FakeReceiver& b = open_since("news", position("news", 1));
    on_wrap = [&, left = deliveries](std::string_view, Opcode&, std::string_view, std::string_view,
                                     std::string&) mutable {
      if (left-- == 0) begin(b, "news", position("news", 2));
      return false;
    };
    begin(b, "news", position("news", 0));
    if (deliveries == 3) begin(b, "news", position("news", 2));
    settle();
    const Got from_2{"recovered", "t:3"};
    EXPECT_EQ(Got(b.got.end() - 2, b.got.end()), from_2);
    EXPECT_EQ(std::count(b.got.begin(), b.got.end(), "recovered"), deliveries < 3 ? 2 : 1);
    close(b, "news");
  }
  on_wrap = nullptr;
  publish_elsewhere("news", "4");
  settle();
  EXPECT_EQ(a.got, Got{"t:4"});
}

// Others may publish to its channel, and write to its keys.
TEST_F(TopicHistoryTest, ForgetsWhatIsBehindTheEnd) {
  FakeReceiver& a = open("news");
  publish_elsewhere("news", "1");
  settle();
  for (const char* offset : {"1000", "18446744073709551615"}) {
    const std::string line = "1 t x 0 " + redis.histories["s:news"].epoch + ' ' + offset + "\n";
    redis.arrivals.push_back({"h:news", line + "no"});
    settle();
  }
  FakeReceiver& b = open_since("news", position("news", 0));
  publish_elsewhere("news", "2");
  settle();
  EXPECT_EQ(a.got, (Got{"t:2"}));
  EXPECT_EQ(b.got, (Got{"recovered", "t:1", "t:2"}));
  EXPECT_FALSE(has_gaps());
}

TEST_F(TopicHistoryTest, AsksAgainLaterWhatIsNoHistory) {
  FakeReceiver& a = open("news");
  publish_elsewhere("news", "1");
  publish_elsewhere("news", "2");
  settle();
  FakeHistoryRedis::History& stored = redis.histories["s:news"];
  redis.arrivals.clear();
  stored.top = 1;
  FakeReceiver& b = open_since("news", position("news", 0));
  settle();
  EXPECT_TRUE(history.is_refused());
  EXPECT_EQ(errors, (std::vector<std::string>{"news: it is none of ours"}));
  stored.top = 2;
  history.retry();
  settle();
  EXPECT_FALSE(history.is_refused());
  EXPECT_EQ(b.got, (Got{"recovered", "t:1", "t:2"}));
  EXPECT_EQ(a.got, Got{});
}

TEST_F(TopicHistoryTest, ClosesWhomItCannotGiveTheRest) {
  open("news");
  settle();
  const std::string large(600 << 10U, 'x');
  for (int i = 0; i < 5; ++i) publish_elsewhere("news", large);
  settle();
  FakeReceiver& b = open_since("news", position("news", 0));
  while (b.got.size() < 3) {
    if (redis.sent() > 0) redis.execute();
    if (redis.replies() > 0) redis.reply();
    history.deliver();
  }
  for (int i = 0; i < 9; ++i) publish_elsewhere("news", large, 5);
  redis.arrivals.clear();  // and the others are told of a gap
  publish_elsewhere("news", large, 5);
  settle();
  EXPECT_EQ(b.failures, std::vector<CloseCode>{CloseCode::kTryAgainLater});
  EXPECT_EQ(b.got.size(), 3U);
  publish_elsewhere("news", "y");
  settle();
  EXPECT_EQ(b.got.size(), 3U);
}

TEST_F(TopicHistoryTest, DeliversInParts) {
  open("news");
  settle();
  for (int i = 0; i < 5; ++i) publish_elsewhere("news", std::string(2 << 20U, 'x'));
  settle();
  FakeReceiver& b = open_since("news", position("news", 0));
  for (std::size_t before = 0; b.got.size() < 6; before = b.got.size()) {
    if (redis.sent() > 0) redis.execute();
    if (redis.replies() > 0) redis.reply();
    history.deliver();
    EXPECT_LE(b.got.size() - before, 2U);  // what it is told, and one message
  }
}

TEST_F(TopicHistoryTest, SkipsWhatIsTooLarge) {
  TopicHistoryOptions options = options_with(5);
  options.max_message_bytes = 3;
  TopicHistoryFixture other(options);
  other.link_up();
  FakeReceiver a;
  FakeReceiver b;
  for (FakeReceiver* one : {&a, &b}) other.hub.hub.join(*one, other.hub.hub.subprotocols()[0]);
  other.subscribe(a, "news");
  other.settle();
  for (const char* data : {"1", "1234", "2"}) other.publish_elsewhere("news", data);
  other.redis.arrivals.pop_front();
  other.redis.arrivals.pop_front();
  other.settle();
  EXPECT_EQ(a.got, (Got{"t:1", "t:2"}));
  EXPECT_EQ(other.gaps["news"], 1);
}

TEST_F(TopicHistoryTest, WrapsOnceForAll) {
  std::vector<std::string> positions;
  on_wrap = [&](std::string_view topic, Opcode& opcode, std::string_view data, std::string_view position,
                std::string& wrapped) {
    positions.emplace_back(position);
    opcode = Opcode::kBinary;
    wrapped = std::string(topic) + "=" + std::string(data);
    return true;
  };
  FakeReceiver& a = open("news");
  FakeReceiver& b = open("news");
  settle();
  publish_elsewhere("news", "1");
  settle();
  EXPECT_EQ(std::tuple(a.got, b.got), std::tuple(Got{"b:news=1"}, Got{"b:news=1"}));
  EXPECT_EQ(positions, std::vector<std::string>{position("news", 1)});
}

// A callback may do anything, and serve the loop.
TEST_F(TopicHistoryTest, DoesNothingElseWithinACallback) {
  FakeReceiver& a = open("news");
  settle();
  int depth = 0;
  on_wrap = [&](std::string_view, Opcode&, std::string_view data, std::string_view, std::string&) {
    EXPECT_EQ(depth, 0);
    ++depth;
    if (data == "1") {
      publish_elsewhere("news", "2");
      publish_elsewhere("news", "3");
      settle();
      EXPECT_FALSE(history.has_more());
    }
    --depth;
    return false;
  };
  publish_elsewhere("news", "1");
  settle();
  EXPECT_EQ(a.got, (Got{"t:1", "t:2", "t:3"}));
  on_wrap = [&](auto&&...) {
    unsubscribe(a, "news");
    return false;
  };
  publish_elsewhere("news", "4");
  settle();
  EXPECT_EQ(a.got.size(), 3U);
}

TEST_F(TopicHistoryTest, SaysWhatRedisRefuses) {
  struct Refusing final : RedisCommands {
    bool send(std::span<const std::string_view>, OnReply reply) override {
      on_reply = std::move(reply);
      return true;
    }
    void refuse() {
      const RedisReply error{RedisReply::Type::kError, 0, "OOM no", {}};
      std::exchange(on_reply, nullptr)(&error);
    }
    OnReply on_reply;
  } refusing;
  TopicHistory other(refusing, hub.hub, options_with(5), *this);
  other.on_link_up(kReplication);
  EXPECT_TRUE(other.publish("news", Opcode::kText, as_bytes("1"), 0));
  refusing.refuse();
  other.on_topic("news");
  other.on_subscribed("news");
  other.deliver();
  refusing.refuse();
  EXPECT_EQ(errors, (std::vector<std::string>{"news: OOM no", "news: OOM no"}));
  EXPECT_FALSE(other.has_more());
  EXPECT_TRUE(other.is_refused());
  other.retry();
  EXPECT_TRUE(other.has_more());
}

TEST_F(TopicHistoryTest, ServesManyTopicsWhenTheLinkIsUp) {
  link_down();
  for (int i = 0; i < 500; ++i) open("news" + std::to_string(i));
  link_up();
  history.deliver();
  std::size_t most = 0;
  while (redis.sent() > 0 || history.has_more()) {
    most = std::max(most, redis.sent());
    if (redis.sent() > 0) {
      redis.execute();
      redis.reply();
    }
    history.deliver();
  }
  EXPECT_LE(most, 40U);
  for (int i = 0; i < 500; ++i) publish_elsewhere("news" + std::to_string(i), "1");
  settle();
  for (const FakeReceiver& one : receivers) EXPECT_EQ(one.got, Got{"t:1"});
}

// --- Everything in any order ---

// Chooses what happens next, and knows what everybody has to get.
class RandomHistory : public TopicHistoryFixture {
 public:
  struct Faults {
    bool cuts = false;     // of the link
    bool forgets = false;  // what was published
    bool fails_over = false;
    std::size_t size = 1000;
    std::size_t max_held_bytes = 1U << 20U;
  };

  RandomHistory(std::uint64_t seed, const Faults& faults)
      : TopicHistoryFixture(options(faults)), random_(seed), faults_(faults) {
    on_wrap = [this](std::string_view topic, Opcode&, std::string_view data, std::string_view position, std::string&) {
      const Sent& sent = sent_[std::string(topic)][std::stoul(std::string(data))];
      EXPECT_EQ(HistoryPosition::parse(position)->offset, sent.offset);
      EXPECT_EQ(HistoryPosition::parse(position)->epoch, sent.epoch);
      if (!is_ending_ && one_of(20)) happen();
      return false;
    };
    link_up(replication_);
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      happen();
      check_all();
    }
    is_ending_ = true;
    redis.is_full = false;
    if (!redis.is_up) link_up(replication_);
    settle();
    history.retry();
    settle();
    check_all();
    for (Client& one : clients_) {
      if (!one.receiver || !one.receiver->failures.empty()) continue;
      EXPECT_TRUE(one.is_ready || !one.has_begun);
      // The last ones may be those that were lost.
      const bool has_all = one.next.value_or(sent_[one.topic].size()) == sent_[one.topic].size();
      EXPECT_TRUE(has_all || gaps[one.topic] > one.gaps);
    }
    const bool may_lose = faults_.forgets || faults_.fails_over || faults_.size < 1000;
    EXPECT_TRUE(may_lose || !has_gaps());
    for (Client& one : clients_) close(one);
    settle();
    EXPECT_TRUE(errors.empty());
  }

  std::size_t received = 0;
  std::size_t recoveries = 0;
  std::map<std::string, std::size_t> begun;  // by why

 private:
  struct Sent {
    std::string epoch;
    std::uint64_t offset;
  };
  struct Client {
    std::optional<FakeReceiver> receiver;
    std::string topic;
    bool has_begun = false;
    bool is_ready = false;
    std::optional<std::size_t> next;  // the message that it has to get
    std::size_t checked = 0;
    int gaps = 0;  // that it was told of
  };

  static TopicHistoryOptions options(const Faults& faults) {
    TopicHistoryOptions made = options_with(faults.size);
    made.max_held_bytes = faults.max_held_bytes;
    return made;
  }

  bool one_of(unsigned n) { return random_() % n == 0; }

  void happen() {
    switch (random_() % 12) {
      case 0:
      case 1:
        if (redis.sent() > 0) redis.execute();
        break;
      case 2:
      case 3:
        if (redis.replies() > 0) redis.reply();
        break;
      case 4:
      case 5:
        if (!redis.arrivals.empty()) arrive();
        break;
      case 6:
      case 7:
        history.deliver();
        break;
      case 8:
      case 9:
        publish_somewhere();
        break;
      case 10:
        come_or_go();
        break;
      default:
        fail();
    }
  }

  void publish_somewhere() {
    const std::string topic = one_of(4) ? "other" : "news";
    for (std::uint64_t n = random_() % 4; n > 0; --n) {
      std::vector<Sent>& sent = sent_[topic];
      publish_elsewhere(topic, std::to_string(sent.size()), faults_.size);
      const FakeHistoryRedis::History& history_there = redis.histories["s:" + topic];
      sent.push_back({history_there.epoch, history_there.top});
    }
  }

  void come_or_go() {
    Client& one = clients_[random_() % clients_.size()];
    if (one.receiver) {
      close(one);
      return;
    }
    one = Client{};
    one.receiver.emplace();
    one.topic = one_of(4) ? "other" : "news";
    one.gaps = gaps[one.topic];
    hub.hub.join(*one.receiver, hub.hub.subprotocols()[0]);
    subscribe(*one.receiver, one.topic);
    if (one_of(3)) return;
    one.has_begun = true;
    const std::vector<Sent>& sent = sent_[one.topic];
    std::optional<std::string> since;
    if (!one_of(6) && !sent.empty()) {
      const std::size_t back = std::min<std::size_t>(sent.size(), 1 + random_() % (one_of(3) ? sent.size() : 5));
      const Sent& at = sent[sent.size() - back];
      const std::uint64_t offset = one_of(20) ? at.offset + random_() % 9 : at.offset;
      since = HistoryPosition{at.epoch, replication_.substr(0, 8), offset}.text();
    }
    EXPECT_TRUE(history.begin(*one.receiver, one.topic, since ? std::optional<std::string_view>(*since) : std::nullopt,
                              [this, &one](bool recovered, const std::string& position, const char* why) {
                                on_ready(one, recovered, position, why);
                              }));
  }

  void on_ready(Client& one, bool recovered, const std::string& text, const char* why) {
    EXPECT_FALSE(one.is_ready);
    one.is_ready = true;
    one.gaps = gaps[one.topic];
    ++(recovered ? recoveries : begun[why == nullptr ? "" : why]);
    const HistoryPosition position = *HistoryPosition::parse(text);
    const std::vector<Sent>& sent = sent_[one.topic];
    for (std::size_t i = 0; i < sent.size(); ++i) {
      if (sent[i].epoch == position.epoch && sent[i].offset == position.offset) one.next = i + 1;
    }
    EXPECT_TRUE(one.next || position.offset == 0);
    if (!is_ending_ && one_of(5)) come_or_go();
  }

  void close(Client& one) {
    if (!one.receiver) return;
    check(one);
    unsubscribe(*one.receiver, one.topic);
    hub.hub.leave(*one.receiver);
    hub.hub.remove(*one.receiver);
    one.receiver.reset();
  }

  void fail() {
    if (one_of(10)) redis.forget_scripts();
    if (one_of(10)) redis.is_full = !redis.is_full;
    if (!redis.is_full) history.retry();
    if (faults_.cuts && redis.is_up && one_of(8)) {
      link_down(random_() % 4, one_of(2));
      return;
    }
    if (!redis.is_up) {
      if (faults_.fails_over && one_of(3)) replication_ = "replication" + std::to_string(random_());
      if (faults_.fails_over) std::reverse(replication_.begin(), replication_.end());
      link_up(replication_);
    }
    if (faults_.forgets && one_of(15)) forget(one_of(2) ? "news" : "other");
  }

  void check_all() {
    for (Client& one : clients_) check(one);
  }
  void check(Client& one) {
    if (!one.receiver) return;
    const Got& got = one.receiver->got;
    for (; one.checked < got.size(); ++one.checked, ++received) {
      const std::size_t index = std::stoul(got[one.checked].substr(2));
      EXPECT_TRUE(one.is_ready || !one.has_begun);
      if (one.next && index != *one.next) {
        EXPECT_GT(index, *one.next) << "comes twice, or late";
        EXPECT_GT(gaps[one.topic], one.gaps) << "a hole";
        ++one.gaps;
      }
      one.next = index + 1;
    }
  }

  std::mt19937_64 random_;
  Faults faults_;
  bool is_ending_ = false;
  std::string replication_ = std::string(kReplication);
  std::map<std::string, std::vector<Sent>> sent_;
  std::array<Client, 12> clients_;
};

class RandomTopicHistoryTest : public ::testing::Test {
 protected:
  void run(const RandomHistory::Faults& faults) {
    for (std::uint64_t seed = 1; seed <= 150 && !HasFailure(); ++seed) {
      SCOPED_TRACE(seed);
      RandomHistory world(seed, faults);
      world.run(600);
      received += world.received;
      recoveries += world.recoveries;
      for (const auto& [why, count] : world.begun) begun[why] += count;
    }
    EXPECT_GT(received, 1000U);
    EXPECT_GT(recoveries, 100U);
  }

  std::size_t received = 0;
  std::size_t recoveries = 0;
  std::map<std::string, std::size_t> begun;
};

TEST_F(RandomTopicHistoryTest, LosesNothing) {
  run({});
  EXPECT_EQ(begun.count("trimmed") + begun.count("expired"), 0U);
}

TEST_F(RandomTopicHistoryTest, LosesNothingWhenTheLinkIsCut) { run({.cuts = true}); }

TEST_F(RandomTopicHistoryTest, HoldsLittle) { run({.cuts = true, .max_held_bytes = 300}); }

TEST_F(RandomTopicHistoryTest, SaysWhatWasTrimmed) {
  run({.cuts = true, .size = 5, .max_held_bytes = 300});
  EXPECT_GT(begun["trimmed"], 10U);
}

TEST_F(RandomTopicHistoryTest, SaysWhatWasForgotten) {
  run({.forgets = true, .size = 10});
  EXPECT_GT(begun["expired"] + begun["epoch"], 10U);
}

TEST_F(RandomTopicHistoryTest, SaysWhatAFailoverHasLost) {
  run({.cuts = true, .fails_over = true, .size = 10});
  EXPECT_GT(begun["epoch"], 10U);
}

}  // namespace
}  // namespace websockets
