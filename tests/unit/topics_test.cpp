// SPDX-License-Identifier: MIT
#include "server/topics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace websockets {
namespace {

// Who is subscribed, in the order of delivery.
std::vector<const Subscriber*> subscribers(const Topics& topics, std::string_view name) {
  std::vector<const Subscriber*> all;
  topics.for_each_subscriber(name, [&](const Subscriber& one) { all.push_back(&one); });
  return all;
}

std::vector<std::string> sorted_topics_of(const Topics& topics, const Subscriber& subscriber) {
  std::vector<std::string> names = topics.list_of(subscriber);
  std::sort(names.begin(), names.end());
  return names;
}

using Subscribers = std::vector<const Subscriber*>;
using Names = std::vector<std::string>;

TEST(Topics, DeliversInTheOrderOfSubscribing) {
  Topics topics;
  Subscriber a;
  Subscriber b;
  Subscriber c;
  for (Subscriber* one : {&b, &a, &c}) topics.subscribe(*one, "news");
  EXPECT_EQ(subscribers(topics, "news"), (Subscribers{&b, &a, &c}));
  EXPECT_EQ(subscribers(topics, "other"), Subscribers{});
}

TEST(Topics, KeepsThePlaceOfWhoSubscribesAgain) {
  Topics topics;
  Subscriber a;
  Subscriber b;
  topics.subscribe(a, "news");
  topics.subscribe(b, "news");
  topics.subscribe(a, "news");
  EXPECT_EQ(subscribers(topics, "news"), (Subscribers{&a, &b}));
  EXPECT_EQ(topics.subscription_count(), 2U);
}

TEST(Topics, PutsWhoComesBackAtTheEnd) {
  Topics topics;
  Subscriber a;
  Subscriber b;
  topics.subscribe(a, "news");
  topics.subscribe(b, "news");
  EXPECT_TRUE(topics.unsubscribe(a, "news"));
  topics.subscribe(a, "news");
  EXPECT_EQ(subscribers(topics, "news"), (Subscribers{&b, &a}));
}

TEST(Topics, SaysWhetherWhoLeavesWasThere) {
  Topics topics;
  Subscriber a;
  Subscriber b;
  EXPECT_FALSE(topics.unsubscribe(a, "news"));
  topics.subscribe(b, "news");
  EXPECT_FALSE(topics.unsubscribe(a, "news"));
  EXPECT_TRUE(topics.unsubscribe(b, "news"));
  EXPECT_FALSE(topics.unsubscribe(b, "news"));
}

TEST(Topics, HasATopicAsLongAsSomebodyIsSubscribed) {
  Topics topics;
  Subscriber a;
  Subscriber b;
  topics.subscribe(a, "news");
  topics.subscribe(b, "news");
  topics.subscribe(b, "weather");
  EXPECT_EQ(topics.topic_count(), 2U);
  topics.unsubscribe(b, "news");
  EXPECT_EQ(topics.topic_count(), 2U);
  topics.unsubscribe(a, "news");
  EXPECT_EQ(topics.topic_count(), 1U);
  topics.unsubscribe_all(b);
  EXPECT_EQ(topics.topic_count(), 0U);
  EXPECT_EQ(topics.subscription_count(), 0U);
}

TEST(Topics, CountsTheSubscribersOfEachTopic) {
  Topics topics;
  Subscriber a;
  Subscriber b;
  topics.subscribe(a, "news");
  topics.subscribe(b, "news");
  topics.subscribe(b, "weather");
  auto counts = topics.list();
  std::sort(counts.begin(), counts.end());
  EXPECT_EQ(counts, (std::vector<std::pair<std::string, std::size_t>>{{"news", 2}, {"weather", 1}}));
}

class LoggingObserver final : public TopicsObserver {
 public:
  void on_subscribed(Subscriber& subscriber, std::string_view name, bool is_first) override {
    if (fails) throw std::bad_alloc();
    log.push_back((is_first ? "+" : ">") + std::string(name));
    last = &subscriber;
  }
  void on_unsubscribed(Subscriber& subscriber, std::string_view name, bool is_last) override {
    log.push_back((is_last ? "-" : "<") + std::string(name));
    last = &subscriber;
  }

  bool fails = false;
  Names log;
  const Subscriber* last = nullptr;
};

TEST(Topics, TellsWhoComesAndWhoLeaves) {
  Topics topics;
  LoggingObserver observer;
  topics.set_observer(&observer);
  Subscriber a;
  Subscriber b;
  topics.subscribe(a, "news");
  topics.subscribe(b, "news");
  topics.subscribe(b, "news");
  topics.subscribe(b, "weather");
  topics.unsubscribe(a, "news");
  EXPECT_EQ(observer.last, &a);
  topics.unsubscribe(a, "news");
  topics.unsubscribe_all(b);
  EXPECT_EQ(observer.last, &b);
  EXPECT_EQ(observer.log, (Names{"+news", ">news", "+weather", "<news", "-weather", "-news"}));
}

TEST(Topics, HasNoTopicThatItsObserverCannotTake) {
  Topics topics;
  LoggingObserver observer;
  topics.set_observer(&observer);
  Subscriber a;
  observer.fails = true;
  EXPECT_THROW(topics.subscribe(a, "news"), std::bad_alloc);
  EXPECT_EQ(topics.topic_count(), 0U);
  EXPECT_EQ(topics.subscription_count(), 0U);
  EXPECT_FALSE(topics.is_subscribed(a, "news"));
  observer.fails = false;
  topics.subscribe(a, "news");
  observer.fails = true;
  Subscriber b;
  EXPECT_THROW(topics.subscribe(b, "news"), std::bad_alloc);
  EXPECT_FALSE(topics.is_subscribed(b, "news"));
  EXPECT_TRUE(topics.is_subscribed(a, "news"));
  EXPECT_EQ(topics.count("news"), 1U);
  EXPECT_EQ(topics.count("weather"), 0U);
  topics.unsubscribe_all(a);
}

TEST(Topics, TakesAnyStringForATopic) {
  Topics topics;
  Subscriber a;
  const std::string zeros("\0\0", 2);
  topics.subscribe(a, "");
  topics.subscribe(a, zeros);
  EXPECT_EQ(sorted_topics_of(topics, a), (Names{"", zeros}));
  EXPECT_EQ(subscribers(topics, std::string_view("\0", 1)), Subscribers{});
  EXPECT_EQ(subscribers(topics, zeros), Subscribers{&a});
}

TEST(Topics, EndsAllSubscriptionsOfOneOnly) {
  Topics topics;
  Subscriber a;
  Subscriber b;
  for (const char* name : {"1", "2", "3"}) {
    topics.subscribe(a, name);
    topics.subscribe(b, name);
  }
  topics.unsubscribe_all(a);
  EXPECT_EQ(a.newest_subscription, nullptr);
  EXPECT_EQ(topics.list_of(a), Names{});
  EXPECT_EQ(sorted_topics_of(topics, b), (Names{"1", "2", "3"}));
  for (const char* name : {"1", "2", "3"}) EXPECT_EQ(subscribers(topics, name), Subscribers{&b});
}

// Whoever leaves, the first, one in the middle or the last: both lists stay whole.
TEST(Topics, StaysWholeWhoeverLeaves) {
  for (std::size_t leaver = 0; leaver < 3; ++leaver) {
    Topics topics;
    std::vector<Subscriber> all(3);
    for (Subscriber& one : all) topics.subscribe(one, "news");
    topics.unsubscribe(all[leaver], "news");
    Subscribers left;
    for (Subscriber& one : all) {
      if (&one != &all[leaver]) left.push_back(&one);
    }
    EXPECT_EQ(subscribers(topics, "news"), left);
  }
  const Names names{"1", "2", "3"};
  for (const std::string& leaves : names) {
    Topics topics;
    Subscriber one;
    for (const std::string& name : names) topics.subscribe(one, name);
    topics.unsubscribe(one, leaves);
    Names left = names;
    left.erase(std::find(left.begin(), left.end(), leaves));
    EXPECT_EQ(sorted_topics_of(topics, one), left);
  }
}

}  // namespace
}  // namespace websockets
