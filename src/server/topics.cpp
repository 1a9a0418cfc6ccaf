// SPDX-License-Identifier: MIT
#include "server/topics.h"

#include "server/connection.h"

namespace websockets {

// Addresses are multiples of their alignment, and differ in few bits: all have to count.
std::size_t Topics::KeyHash::operator()(const Key& key) const noexcept {
  const auto connection = reinterpret_cast<std::size_t>(key.first);
  const auto topic = reinterpret_cast<std::size_t>(key.second);
  constexpr std::size_t kOdd = static_cast<std::size_t>(0x9E3779B97F4A7C15U);
  const std::size_t mixed = (connection * kOdd) ^ topic;
  return (mixed * kOdd) ^ (mixed >> (sizeof mixed * 4));
}

void Topics::subscribe(Connection& connection, std::string_view name) {
  Topic* topic = topics_.find(name);
  const bool is_new = topic == nullptr;
  if (is_new) topic = &topics_.insert(name);
  Subscription* added = nullptr;
  try {
    const auto made = subscriptions_.try_emplace(Key{&connection, topic}, Subscription{&connection, topic});
    if (!made.second) return;
    added = &made.first->second;
  } catch (...) {
    if (is_new) topics_.erase(name);
    throw;
  }
  added->previous_of_topic = topic->last;
  (topic->last == nullptr ? topic->first : topic->last->next_of_topic) = added;
  topic->last = added;
  ++topic->count;
  added->next_of_connection = connection.subscriptions_;
  if (connection.subscriptions_ != nullptr) connection.subscriptions_->previous_of_connection = added;
  connection.subscriptions_ = added;
}

bool Topics::unsubscribe(Connection& connection, std::string_view name) {
  const Topic* const topic = topics_.find(name);
  if (topic == nullptr) return false;
  const auto found = subscriptions_.find(Key{&connection, topic});
  if (found == subscriptions_.end()) return false;
  remove(found->second);
  return true;
}

void Topics::unsubscribe_all(Connection& connection) {
  while (connection.subscriptions_ != nullptr) remove(*connection.subscriptions_);
}

void Topics::remove(Subscription& one) {
  Topic& topic = *one.topic;
  (one.previous_of_topic == nullptr ? topic.first : one.previous_of_topic->next_of_topic) = one.next_of_topic;
  (one.next_of_topic == nullptr ? topic.last : one.next_of_topic->previous_of_topic) = one.previous_of_topic;
  Subscription*& before = one.previous_of_connection == nullptr ? one.connection->subscriptions_
                                                                : one.previous_of_connection->next_of_connection;
  before = one.next_of_connection;
  if (one.next_of_connection != nullptr) one.next_of_connection->previous_of_connection = one.previous_of_connection;
  subscriptions_.erase(Key{one.connection, &topic});
  if (--topic.count == 0) topics_.erase(topic.name);
}

std::vector<std::pair<std::string, std::size_t>> Topics::list() const {
  std::vector<std::pair<std::string, std::size_t>> all;
  all.reserve(topics_.size());
  topics_.for_each([&](const Topic& topic) { all.emplace_back(topic.name, topic.count); });
  return all;
}

std::vector<std::string> Topics::list_of(const Connection& connection) const {
  std::vector<std::string> names;
  for (const Subscription* one = connection.subscriptions_; one != nullptr; one = one->next_of_connection) {
    names.emplace_back(one->topic->name);
  }
  return names;
}

}  // namespace websockets
