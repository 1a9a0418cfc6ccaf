// SPDX-License-Identifier: MIT
#include "cluster/topic_presence.h"

#include <gtest/gtest.h>

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

// Writes the commands down, with the name of a script for its text, and answers when it is told to.
class FakeCommands final : public RedisCommands {
 public:
  bool send(std::span<const std::string_view> command, OnReply on_reply) override {
    if (!is_up) return false;
    std::string line;
    for (const std::string_view word : command) {
      const bool is_script = word.find('\n') != std::string_view::npos;
      line.append(line.empty() ? "" : " ").append(is_script ? "SCRIPT" : word);
    }
    sent.push_back(line);
    if (on_reply) waiting.push_back(std::move(on_reply));
    return true;
  }
  void answer(const RedisReply* reply) {
    const OnReply on_reply = std::move(waiting.front());
    waiting.pop_front();
    on_reply(reply);
  }
  std::vector<std::string> take() { return std::exchange(sent, {}); }

  bool is_up = true;
  std::vector<std::string> sent;
  std::deque<OnReply> waiting;
};

class TopicPresenceTest : public LoopFixture, public TopicPresenceOwner {
 protected:
  RedisStore server_of(std::string_view /*topic*/) override { return {commands, names}; }
  std::vector<RedisStore> servers() override { return {{commands, names}}; }
  const std::string& node() override { return node_; }
  std::size_t subscriptions(std::string_view topic) override { return counts[std::string(topic)]; }

  void subscribe(std::string_view topic) {
    ++counts[std::string(topic)];
    presence.on_subscribed(topic);
  }
  void unsubscribe(const Subscriber& subscriber, std::string_view topic) {
    --counts[std::string(topic)];
    presence.on_unsubscribed(subscriber, topic);
  }
  // Until something was written.
  std::vector<std::string> written() {
    while (commands.sent.empty()) loop().service(-1);
    return commands.take();
  }

  FakeCommands commands;
  RedisNames names{"ws:", 0};
  std::map<std::string, std::size_t> counts;
  TopicPresence presence{loop(), *this};
  Subscriber ada;
  Subscriber alan;

 private:
  const std::string node_ = "0123456789abcdef";
};

using Sent = std::vector<std::string>;

RedisReply living(const std::vector<std::pair<std::string, std::string>>& fields) {
  RedisReply reply;
  reply.type = RedisReply::Type::kArray;
  reply.elements.resize(2);
  for (const auto& [field, value] : fields) {
    RedisReply text;
    text.type = RedisReply::Type::kString;
    text.text = field;
    reply.elements[0].elements.push_back(text);
    text.text = value;
    reply.elements[1].elements.push_back(text);
  }
  return reply;
}

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
  EXPECT_EQ(written(), (Sent{"HSET ws:0:n:room 0123456789abcdef 2", "PEXPIRE ws:0:n:room 10800000",
                             "HSET ws:0:p:room 0123456789abcdef/Ada 1", "HSET ws:0:p:room 0123456789abcdef/Alan 1",
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
  presence.on_up({commands, names});
  EXPECT_EQ(commands.take(), Sent{"EVAL SCRIPT 1 ws:0:l: 0123456789abcdef 30000"});
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
  std::string why;
  presence.members("room", [&](const std::vector<std::string>* some, const std::string& text) {
    if (some != nullptr) members = *some;
    why = text;
  });
  EXPECT_EQ(commands.take(), (Sent{"HSET ws:0:n:room 0123456789abcdef 1", "PEXPIRE ws:0:n:room 10800000",
                                   "EVAL SCRIPT 2 ws:0:p:room ws:0:l:"}));
  const RedisReply reply =
      living({{"0123456789abcdef/b", "1"}, {"fedcba9876543210/a", "2"}, {"fedcba9876543210/b", "1"}, {"x", ""}});
  commands.answer(&reply);
  EXPECT_EQ(members, (std::vector<std::string>{"", "a", "b"}));
  EXPECT_EQ(why, "");
}

TEST_F(TopicPresenceTest, CountsAndSaysWhyNot) {
  std::vector<std::string> answers;
  const auto note = [&](const std::uint64_t* count, const std::string& why) {
    answers.push_back(count == nullptr ? why : std::to_string(*count));
  };
  for (int i = 0; i < 3; ++i) presence.count("room", note);
  const RedisReply reply = living({{"a", "2"}, {"b", "40"}});
  commands.answer(&reply);
  commands.answer(nullptr);
  RedisReply error;
  error.type = RedisReply::Type::kError;
  error.text = "NOPERM no";
  commands.answer(&error);
  commands.is_up = false;
  presence.count("room", note);
  EXPECT_EQ(answers, (std::vector<std::string>{"42", "cluster down", "NOPERM no", "cluster down"}));
}

TEST_F(TopicPresenceTest, RenewsItsLeaseAndWhatItHas) {
  TopicPresence quick(loop(), *this, 30);
  ++counts["room"];
  quick.on_subscribed("room");
  quick.on_up({commands, names});
  int leases = 0;
  int numbers = 0;
  while (leases < 5 || numbers < 3) {
    for (const std::string& line : written()) {
      if (line == "EVAL SCRIPT 1 ws:0:l: 0123456789abcdef 30") ++leases;
      if (line == "HSET ws:0:n:room 0123456789abcdef 1") ++numbers;
    }
  }
}

}  // namespace
}  // namespace websockets
