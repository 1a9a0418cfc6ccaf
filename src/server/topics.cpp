// SPDX-License-Identifier: MIT
#include "server/topics.h"

namespace websockets {

// Addresses are multiples of their alignment, and differ in few bits: all have to count.
std::size_t Topics::KeyHash::operator()(const Key& key) const noexcept {
  const auto subscriber = reinterpret_cast<std::size_t>(key.first);
  const auto topic = reinterpret_cast<std::size_t>(key.second);
  constexpr std::size_t kOdd = static_cast<std::size_t>(0x9E3779B97F4A7C15U);
  const std::size_t mixed = (subscriber * kOdd) ^ topic;
  return (mixed * kOdd) ^ (mixed >> (sizeof mixed * 4));
}

void Topics::subscribe(Subscriber& subscriber, std::string_view name) {
  Topic* topic = topics_.find(name);
  const bool is_new = topic == nullptr;
  if (is_new) topic = &topics_.insert(name);
  Subscription* added = nullptr;
  try {
    const auto made = subscriptions_.try_emplace(Key{&subscriber, topic}, Subscription{&subscriber, topic});
    if (!made.second) return;
    added = &made.first->second;
    if (observer_ != nullptr) observer_->on_subscribed(subscriber, name, is_new);
  } catch (...) {
    if (added != nullptr) subscriptions_.erase(Key{&subscriber, topic});
    if (is_new) topics_.erase(name);
    throw;
  }
  added->previous_of_topic = topic->last;
  (topic->last == nullptr ? topic->first : topic->last->next_of_topic) = added;
  topic->last = added;
  ++topic->count;
  added->next_of_subscriber = subscriber.newest_subscription;
  if (subscriber.newest_subscription != nullptr) subscriber.newest_subscription->previous_of_subscriber = added;
  subscriber.newest_subscription = added;
}

bool Topics::unsubscribe(Subscriber& subscriber, std::string_view name) {
  const Topic* const topic = topics_.find(name);
  if (topic == nullptr) return false;
  const auto found = subscriptions_.find(Key{&subscriber, topic});
  if (found == subscriptions_.end()) return false;
  remove(found->second);
  return true;
}

void Topics::unsubscribe_all(Subscriber& subscriber) {
  while (subscriber.newest_subscription != nullptr) remove(*subscriber.newest_subscription);
}

void Topics::remove(Subscription& one) {
  Topic& topic = *one.topic;
  (one.previous_of_topic == nullptr ? topic.first : one.previous_of_topic->next_of_topic) = one.next_of_topic;
  (one.next_of_topic == nullptr ? topic.last : one.next_of_topic->previous_of_topic) = one.previous_of_topic;
  Subscription*& before = one.previous_of_subscriber == nullptr ? one.subscriber->newest_subscription
                                                                : one.previous_of_subscriber->next_of_subscriber;
  before = one.next_of_subscriber;
  if (one.next_of_subscriber != nullptr) one.next_of_subscriber->previous_of_subscriber = one.previous_of_subscriber;
  Subscriber& subscriber = *one.subscriber;
  subscriptions_.erase(Key{&subscriber, &topic});
  --topic.count;
  if (observer_ != nullptr) observer_->on_unsubscribed(subscriber, topic.name, topic.count == 0);
  if (topic.count == 0) topics_.erase(topic.name);
}

bool Topics::is_subscribed(const Subscriber& subscriber, std::string_view name) const {
  const Topic* const topic = topics_.find(name);
  return topic != nullptr && subscriptions_.contains(Key{&subscriber, topic});
}

std::size_t Topics::count(std::string_view name) const {
  const Topic* const topic = topics_.find(name);
  return topic == nullptr ? 0 : topic->count;
}

std::vector<std::pair<std::string, std::size_t>> Topics::list() const {
  std::vector<std::pair<std::string, std::size_t>> all;
  all.reserve(topics_.size());
  topics_.for_each([&](const Topic& topic) { all.emplace_back(topic.name, topic.count); });
  return all;
}

std::vector<std::string> Topics::list_of(const Subscriber& subscriber) const {
  std::vector<std::string> names;
  for (const Subscription* one = subscriber.newest_subscription; one != nullptr; one = one->next_of_subscriber) {
    names.emplace_back(one->topic->name);
  }
  return names;
}

}  // namespace websockets
