// SPDX-License-Identifier: MIT
#include "cluster/redis_subscriptions.h"

#include <gtest/gtest.h>

#include <new>
#include <set>
#include <string>
#include <utility>

#include "failing_allocations.h"

namespace websockets {
namespace {

using Confirmed = RedisSubscriptions::Confirmed;
using Words = std::vector<std::string>;

class RedisSubscriptionsTest : public testing::Test {
 protected:
  Words next() {
    std::vector<std::string_view> command;
    if (!subscriptions.next_command(command)) return {};
    return {command.begin(), command.end()};
  }

  RedisSubscriptions subscriptions;
};

TEST_F(RedisSubscriptionsTest, TellsManyByOneCommand) {
  subscriptions.begin();
  EXPECT_TRUE(subscriptions.is_complete());
  EXPECT_EQ(next(), Words{});
  subscriptions.add("a");
  subscriptions.add("b");
  subscriptions.add("a");
  EXPECT_EQ(next(), (Words{"SUBSCRIBE", "a", "b"}));
  EXPECT_EQ(next(), Words{});
  EXPECT_FALSE(subscriptions.is_live("a"));
  EXPECT_EQ(subscriptions.confirm(true, "a"), Confirmed::kLive);
  EXPECT_TRUE(subscriptions.is_live("a"));
  EXPECT_FALSE(subscriptions.is_live("b"));
  EXPECT_EQ(subscriptions.confirm(true, "b"), Confirmed::kLive);
  subscriptions.remove("a");
  subscriptions.remove("none");
  EXPECT_FALSE(subscriptions.is_live("a"));
  subscriptions.add("c");
  EXPECT_EQ(next(), (Words{"SUBSCRIBE", "c"}));
  EXPECT_EQ(next(), (Words{"UNSUBSCRIBE", "a"}));
  EXPECT_EQ(subscriptions.count(), 3U);
  EXPECT_EQ(subscriptions.confirm(true, "c"), Confirmed::kLive);
  EXPECT_EQ(subscriptions.confirm(false, "a"), Confirmed::kNothingNew);
  EXPECT_EQ(subscriptions.count(), 2U);
}

TEST_F(RedisSubscriptionsTest, WhatChangesBeforeItWasToldIsNotTold) {
  subscriptions.begin();
  subscriptions.add("a");
  subscriptions.remove("a");
  EXPECT_EQ(subscriptions.count(), 0U);
  EXPECT_FALSE(subscriptions.has_command());
}

TEST_F(RedisSubscriptionsTest, OnlyTheLastConfirmationCounts) {
  subscriptions.begin();
  subscriptions.add("a");
  next();
  subscriptions.remove("a");
  EXPECT_EQ(next(), (Words{"UNSUBSCRIBE", "a"}));
  subscriptions.add("a");
  EXPECT_EQ(subscriptions.confirm(true, "a"), Confirmed::kNothingNew);
  EXPECT_EQ(next(), (Words{"SUBSCRIBE", "a"}));
  EXPECT_EQ(subscriptions.confirm(false, "a"), Confirmed::kNothingNew);
  EXPECT_FALSE(subscriptions.is_live("a"));
  EXPECT_EQ(subscriptions.confirm(true, "a"), Confirmed::kLive);
}

// Its reply says from when on messages are of the new subscription.
TEST_F(RedisSubscriptionsTest, ARemovalThatIsTakenBackIsConfirmedAnew) {
  subscriptions.begin();
  subscriptions.add("a");
  next();
  subscriptions.confirm(true, "a");
  subscriptions.remove("a");
  subscriptions.add("a");
  EXPECT_FALSE(subscriptions.is_live("a"));
  EXPECT_EQ(next(), (Words{"SUBSCRIBE", "a"}));
  EXPECT_EQ(subscriptions.confirm(true, "a"), Confirmed::kLive);
  subscriptions.remove("a");
  subscriptions.add("a");
  subscriptions.remove("a");
  EXPECT_EQ(next(), (Words{"UNSUBSCRIBE", "a"}));
}

TEST_F(RedisSubscriptionsTest, KnowsWhatWasNeverAskedFor) {
  subscriptions.begin();
  EXPECT_EQ(subscriptions.confirm(true, "a"), Confirmed::kUnasked);
  subscriptions.add("a");
  EXPECT_EQ(subscriptions.confirm(true, "a"), Confirmed::kUnasked);
  next();
  EXPECT_EQ(subscriptions.confirm(true, "a"), Confirmed::kLive);
  EXPECT_EQ(subscriptions.confirm(false, "a"), Confirmed::kUnasked);
}

TEST_F(RedisSubscriptionsTest, BeginsAnewWithAllThatAreWanted) {
  subscriptions.begin();
  subscriptions.add("a");
  subscriptions.add("b");
  next();
  subscriptions.confirm(true, "a");
  subscriptions.remove("b");
  subscriptions.add("c");
  subscriptions.begin();
  EXPECT_FALSE(subscriptions.is_live("a"));
  EXPECT_FALSE(subscriptions.is_complete());
  EXPECT_EQ(subscriptions.count(), 2U);
  const Words command = next();
  EXPECT_EQ(std::set<std::string>(command.begin(), command.end()), (std::set<std::string>{"SUBSCRIBE", "a", "c"}));
  subscriptions.add("later");
  subscriptions.confirm(true, "a");
  EXPECT_FALSE(subscriptions.is_complete());
  subscriptions.remove("c");
  EXPECT_TRUE(subscriptions.is_complete());
}

TEST_F(RedisSubscriptionsTest, CommandsAreBoundedAndSoAreThoseOnTheirWay) {
  subscriptions.begin();
  for (int i = 0; i < 5000; ++i) subscriptions.add(std::to_string(i));
  std::size_t on_their_way = 0;
  std::set<std::string> told;
  Words replies;
  const auto tell = [&] {
    for (Words command = next(); !command.empty(); command = next()) {
      EXPECT_LE(command.size(), 1025U);
      for (std::size_t i = 1; i < command.size(); ++i) {
        EXPECT_TRUE(told.insert(command[i]).second);
        replies.push_back(command[i]);
      }
      on_their_way += command.size() - 1;
    }
    EXPECT_LT(on_their_way, 2048U);
  };
  tell();
  while (!replies.empty()) {
    for (const std::string& channel : std::exchange(replies, {})) {
      EXPECT_EQ(subscriptions.confirm(true, channel), Confirmed::kLive);
      --on_their_way;
    }
    tell();
  }
  EXPECT_EQ(told.size(), 5000U);
  for (int i = 0; i < 10; ++i) subscriptions.add(std::string(20'000, static_cast<char>('a' + i)));
  EXPECT_EQ(next().size(), 5U);
}

TEST_F(RedisSubscriptionsTest, NothingIsDoneWhenMemoryIsShort) {
  subscriptions.begin();
  const std::string channel(100, 'x');
  for (std::size_t failing = 1;; ++failing) {
    const FailingAllocation failure(failing);
    try {
      subscriptions.add(channel);
      break;
    } catch (const std::bad_alloc&) {
      EXPECT_EQ(subscriptions.count(), 0U);
      EXPECT_FALSE(subscriptions.has_command());
    }
  }
  EXPECT_EQ(next(), (Words{"SUBSCRIBE", channel}));
}

}  // namespace
}  // namespace websockets
