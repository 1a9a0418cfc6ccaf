// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/topic_map.h"

namespace websockets {

// A subscriber of topics: to be derived from.
struct Subscriber {
  Subscription* newest_subscription = nullptr;
};

// One subscriber at one topic: in a list of each.
struct Subscription {
  Subscriber* subscriber;
  Topic* topic;
  Subscription* previous_of_topic = nullptr;
  Subscription* next_of_topic = nullptr;
  Subscription* previous_of_subscriber = nullptr;
  Subscription* next_of_subscriber = nullptr;
};

// Who is told which topics there are. The calls do nothing with the topics.
class TopicsObserver {
 public:
  // A subscriber comes. `is_first`: there was no such topic. Throws std::bad_alloc, and then it is not subscribed.
  virtual void on_subscribed(Subscriber& subscriber, std::string_view name, bool is_first) = 0;
  // A subscriber goes. `is_last`: there is no such topic any more.
  virtual void on_unsubscribed(Subscriber& subscriber, std::string_view name, bool is_last) = 0;

 protected:
  ~TopicsObserver() = default;
};

// Who is subscribed to what. Subscribing, leaving and each delivery take the same time whatever the number of topics
// and subscribers, or its logarithm where clients chose the names of the topics to that end; a subscriber without
// subscriptions costs one pointer. A topic is any string, and there as long as it has a subscriber.
class Topics {
 public:
  Topics() = default;
  Topics(const Topics&) = delete;
  Topics& operator=(const Topics&) = delete;

  // While nobody is subscribed to anything. nullptr: none. It has to outlive its being set.
  void set_observer(TopicsObserver* observer) { observer_ = observer; }

  // Does nothing when it is subscribed already. Throws std::bad_alloc, and leaves all as it was then.
  void subscribe(Subscriber& subscriber, std::string_view name);
  // False: it was not subscribed.
  bool unsubscribe(Subscriber& subscriber, std::string_view name);
  void unsubscribe_all(Subscriber& subscriber);

  // Calls `deliver` with each subscriber, in the order in which they came. It must not subscribe or unsubscribe.
  template <typename Function>
  void for_each_subscriber(std::string_view name, Function deliver) const {
    const Topic* const topic = topics_.find(name);
    if (topic == nullptr) return;
    for (const Subscription* one = topic->first; one != nullptr; one = one->next_of_topic) {
      deliver(*one->subscriber);
    }
  }

  bool is_subscribed(const Subscriber& subscriber, std::string_view name) const;
  // Of this topic.
  std::size_t count(std::string_view name) const;
  // Each topic with the number of its subscribers.
  std::vector<std::pair<std::string, std::size_t>> list() const;
  std::vector<std::string> list_of(const Subscriber& subscriber) const;
  std::size_t topic_count() const { return topics_.size(); }
  std::size_t subscription_count() const { return subscriptions_.size(); }

 private:
  using Key = std::pair<const Subscriber*, const Topic*>;
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };

  void remove(Subscription& subscription);

  TopicMap topics_;
  std::unordered_map<Key, Subscription, KeyHash> subscriptions_;
  TopicsObserver* observer_ = nullptr;
};

}  // namespace websockets
