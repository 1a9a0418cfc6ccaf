// SPDX-License-Identifier: MIT
#include "cluster/topic_presence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/redis_reply.h"
#include "loop_fixture.h"

namespace websockets {
namespace {

// Writes the commands down, but of scripts no hash, and answers when it is told to.
class FakeCommands final : public RedisCommands {
 public:
  bool send(std::span<const std::string_view> command, OnReply on_reply) override {
    if (!is_up || sent.size() >= most) return false;
    std::string line;
    for (const std::string_view word : command) {
      const bool is_hash = line == "EVALSHA";
      line.append(line.empty() ? "" : " ").append(is_hash ? "SCRIPT" : word);
    }
    sent.push_back(line);
    if (on_reply) waiting.emplace_back(line, std::move(on_reply));
    return true;
  }
  // The oldest command that begins so.
  void answer(std::string_view begin, const RedisReply* reply) {
    const auto one =
        std::find_if(waiting.begin(), waiting.end(), [=](const auto& it) { return it.first.starts_with(begin); });
    ASSERT_NE(one, waiting.end());
    const OnReply on_reply = std::move(one->second);
    waiting.erase(one);
    on_reply(reply);
  }
  std::vector<std::string> take() { return std::exchange(sent, {}); }

  bool is_up = true;
  std::size_t most = 1000;  // that are not taken yet
  std::vector<std::string> sent;
  std::deque<std::pair<std::string, OnReply>> waiting;
};

using Sent = std::vector<std::string>;

constexpr std::size_t kMostBytes = 1000;

class TopicPresenceTest : public LoopFixture, public TopicPresenceOwner {
 protected:
  const std::string& node() override { return node_; }
  std::size_t subscriptions(std::string_view topic) override { return counts[std::string(topic)]; }
  void on_presence_error(std::string_view topic, const std::string& why) override {
    errors.push_back(std::string(topic) + ": " + why);
  }

  void subscribe(std::string_view topic) {
    ++counts[std::string(topic)];
    presence.on_subscribed(topic);
  }
  void unsubscribe(const Subscriber& subscriber, std::string_view topic) {
    --counts[std::string(topic)];
    presence.on_unsubscribed(subscriber, topic);
  }
  void wait_for(std::string_view line) {
    Sent all;
    while (std::find(all.begin(), all.end(), line) == all.end()) all = written();
  }
  // Until something was written.
  std::vector<std::string> written() {
    while (commands.sent.empty()) loop().service(-1);
    return commands.take();
  }

  FakeCommands commands;
  RedisNames names{"ws:", 0};
  std::map<std::string, std::size_t> counts;
  std::vector<std::string> errors;
  TopicPresence presence{loop(), commands, names, *this, kMostBytes};
  Subscriber ada;
  Subscriber alan;

 private:
  const std::string node_ = "0123456789abcdef";
};

RedisReply text(std::string value) { return {RedisReply::Type::kString, 0, std::move(value), {}}; }
RedisReply number(std::int64_t value) { return {RedisReply::Type::kInteger, value, "", {}}; }
RedisReply error(std::string value) { return {RedisReply::Type::kError, 0, std::move(value), {}}; }

TEST_F(TopicPresenceTest, PutsChangesTogether) {
  for (int i = 0; i < 100; ++i) subscribe("room");
  for (int i = 0; i < 97; ++i) unsubscribe(ada, "room");
  EXPECT_EQ(commands.take(), Sent{});
  EXPECT_EQ(written(), (Sent{"HSET ws:0:n:room 0123456789abcdef 3", "PEXPIRE ws:0:n:room 10800000"}));
  for (int i = 0; i < 3; ++i) unsubscribe(ada, "room");
  EXPECT_EQ(written(), Sent{"HDEL ws:0:n:room 0123456789abcdef"});
}

TEST_F(TopicPresenceTest, WritesEachNameOnce) {
  subscribe("room");
  presence.enter(ada, "room", "Ada");
  subscribe("room");
  presence.enter(alan, "room", "Ada");
  EXPECT_EQ(written(), (Sent{"HSET ws:0:n:room 0123456789abcdef 2", "PEXPIRE ws:0:n:room 10800000",
                             "HSET ws:0:p:room 0123456789abcdef/Ada 2", "PEXPIRE ws:0:p:room 10800000"}));
  presence.enter(alan, "room", "Alan");
  EXPECT_EQ(written(), (Sent{"HSET ws:0:p:room 0123456789abcdef/Ada 1", "HSET ws:0:p:room 0123456789abcdef/Alan 1",
                             "PEXPIRE ws:0:p:room 10800000"}));
  unsubscribe(ada, "room");
  unsubscribe(alan, "room");
  EXPECT_EQ(written(), (Sent{"HDEL ws:0:n:room 0123456789abcdef", "HDEL ws:0:p:room 0123456789abcdef/Ada",
                             "HDEL ws:0:p:room 0123456789abcdef/Alan"}));
}

TEST_F(TopicPresenceTest, TriesAgainWhatIsNotTaken) {
  commands.is_up = false;
  subscribe("room");
  presence.enter(ada, "room", "Ada");
  for (int i = 0; i < 5; ++i) loop().service(50);
  commands.is_up = true;
  EXPECT_EQ(written(), (Sent{"HSET ws:0:n:room 0123456789abcdef 1", "PEXPIRE ws:0:n:room 10800000",
                             "HSET ws:0:p:room 0123456789abcdef/Ada 1", "PEXPIRE ws:0:p:room 10800000"}));
}

TEST_F(TopicPresenceTest, WritesAllAgainToAServerThatIsBack) {
  subscribe("room");
  presence.enter(ada, "room", "Ada");
  subscribe("other");
  written();
  presence.on_up();
  EXPECT_EQ(commands.take(), Sent{"EVALSHA SCRIPT 1 ws:0:l: 0123456789abcdef 30000"});
  EXPECT_EQ(written(), (Sent{"HSET ws:0:n:other 0123456789abcdef 1", "PEXPIRE ws:0:n:other 10800000",
                             "HSET ws:0:n:room 0123456789abcdef 1", "PEXPIRE ws:0:n:room 10800000",
                             "HSET ws:0:p:room 0123456789abcdef/Ada 1", "PEXPIRE ws:0:p:room 10800000"}));
}

TEST_F(TopicPresenceTest, TakesItsOwnBackAtTheEnd) {
  subscribe("room");
  presence.enter(ada, "room", "Ada");
  written();
  presence.finish();
  EXPECT_EQ(commands.take(), (Sent{"HDEL ws:0:l: 0123456789abcdef", "HDEL ws:0:n:room 0123456789abcdef",
                                   "HDEL ws:0:p:room 0123456789abcdef/Ada"}));
}

TEST_F(TopicPresenceTest, AsksWhoLives) {
  subscribe("room");
  std::vector<std::string> members;
  Error why;
  presence.members("room", [&](const std::vector<std::string>* some, const Error& error) {
    if (some != nullptr) members = *some;
    why = error;
  });
  EXPECT_EQ(commands.take(), (Sent{"HSET ws:0:n:room 0123456789abcdef 1", "PEXPIRE ws:0:n:room 10800000",
                                   "EVALSHA SCRIPT 2 ws:0:p:room ws:0:l: 1000"}));
  const RedisReply reply{RedisReply::Type::kArray, 0, "", {text("b"), text(""), text("a")}};
  commands.answer("EVAL", &reply);
  EXPECT_EQ(members, (std::vector<std::string>{"", "a", "b"}));
  EXPECT_FALSE(why);
}

TEST_F(TopicPresenceTest, CountsAndSaysWhyNot) {
  std::vector<std::string> answers;
  const auto note = [&](const std::uint64_t* count, const Error& why) {
    answers.push_back(count == nullptr ? why.text + ' ' + std::to_string(why.code) : std::to_string(*count));
  };
  for (int i = 0; i < 5; ++i) presence.count("room", note);
  for (const RedisReply& reply : {number(42), number(-1), error("NOPERM no\n"), text("42")}) {
    commands.answer("EVAL", &reply);
  }
  commands.answer("EVAL", nullptr);
  commands.is_up = false;
  presence.count("room", note);
  EXPECT_EQ(answers,
            (std::vector<std::string>{"42", "0", "NOPERM no? 5", "42 5", "cluster down 107", "cluster down 107"}));
}

// The server may have taken them, or not.
TEST_F(TopicPresenceTest, WritesAgainWhatALostConnectionHasTaken) {
  subscribe("room");
  presence.enter(ada, "room", "Ada");
  written();
  unsubscribe(ada, "room");
  EXPECT_EQ(written(), (Sent{"HDEL ws:0:n:room 0123456789abcdef", "HDEL ws:0:p:room 0123456789abcdef/Ada"}));
  while (!commands.waiting.empty()) commands.answer("", nullptr);
  presence.on_up();
  commands.take();
  EXPECT_EQ(written(), (Sent{"HDEL ws:0:n:room 0123456789abcdef", "HDEL ws:0:p:room 0123456789abcdef/Ada"}));
  const RedisReply done = number(1);
  while (!commands.waiting.empty()) commands.answer("", &done);
  presence.on_up();
  EXPECT_EQ(commands.take().size(), 1U);  // the lease
  EXPECT_EQ(errors, std::vector<std::string>{});
}

TEST_F(TopicPresenceTest, WritesAgainWhatWasRefused) {
  TopicPresence quick(loop(), commands, names, *this, kMostBytes, 30);
  quick.on_up();
  ++counts["room"];
  quick.on_subscribed("room");
  quick.enter(ada, "room", "Ada");
  wait_for("HSET ws:0:p:room 0123456789abcdef/Ada 1");
  const RedisReply refused = error("MISCONF no disk");
  commands.answer("HSET ws:0:n:room", &refused);
  commands.answer("HSET ws:0:p:room", &refused);
  EXPECT_EQ(errors, (std::vector<std::string>{"room: MISCONF no disk", "room: MISCONF no disk"}));
  --counts["room"];
  quick.on_unsubscribed(ada, "room");
  for (int i = 0; i < 3; ++i) {
    wait_for("HDEL ws:0:p:room 0123456789abcdef/Ada");
    commands.answer("HDEL ws:0:n:room", &refused);
    commands.answer("HDEL ws:0:p:room", &refused);
  }
}

// It was not served for so long, or the server's clock was set, and others have taken away what it had written.
TEST_F(TopicPresenceTest, WritesAllAgainWhenItsLeaseWasOver) {
  TopicPresence quick(loop(), commands, names, *this, kMostBytes, 3000);
  for (const char* const topic : {"a", "b", "c"}) {
    ++counts[topic];
    quick.on_subscribed(topic);
  }
  written();
  const RedisReply was_over = number(0);
  quick.on_up();
  written();
  commands.answer("EVAL", &was_over);  // all is written in any case
  wait_for("EVALSHA SCRIPT 1 ws:0:l: 0123456789abcdef 3000");
  commands.answer("EVAL", &was_over);
  const Sent all = written();
  for (const char* const line :
       {"HSET ws:0:n:a 0123456789abcdef 1", "HSET ws:0:n:b 0123456789abcdef 1", "HSET ws:0:n:c 0123456789abcdef 1"}) {
    EXPECT_NE(std::find(all.begin(), all.end(), line), all.end()) << line;
  }
}

// One command is taken while none waits.
TEST_F(TopicPresenceTest, GetsOnWithAQueueOfOneCommand) {
  commands.most = 1;
  subscribe("room");
  presence.enter(ada, "room", "Ada");
  presence.enter(alan, "room", "Alan");
  EXPECT_EQ(written(), Sent{"HSET ws:0:n:room 0123456789abcdef 1"});
  EXPECT_EQ(written(), Sent{"HSET ws:0:p:room 0123456789abcdef/Ada 1"});
  EXPECT_EQ(written(), Sent{"HSET ws:0:p:room 0123456789abcdef/Alan 1"});
}

TEST_F(TopicPresenceTest, RenewsItsLeaseAndWhatItHas) {
  TopicPresence quick(loop(), commands, names, *this, kMostBytes, 30);
  ++counts["room"];
  quick.on_subscribed("room");
  quick.on_up();
  int leases = 0;
  int numbers = 0;
  while (leases < 5 || numbers < 3) {
    for (const std::string& line : written()) {
      if (line == "EVALSHA SCRIPT 1 ws:0:l: 0123456789abcdef 30") ++leases;
      if (line == "HSET ws:0:n:room 0123456789abcdef 1") ++numbers;
    }
  }
}

}  // namespace
}  // namespace websockets
