// SPDX-License-Identifier: MIT
#include "cluster/redis_subscriptions.h"

namespace websockets {

void RedisSubscriptions::add(std::string_view channel) {
  auto found = entries_.find(channel);
  if (found == entries_.end()) {
    found = entries_.emplace(channel, Entry{}).first;
    found->second.channel = found->first;
  }
  Entry& entry = found->second;
  if (entry.is_wanted) return;
  entry.is_wanted = true;
  // Even if the server was not told yet that it is not wanted: its reply says from when on messages come.
  put(entry, Place::kAdded);
}

void RedisSubscriptions::remove(std::string_view channel) {
  const auto found = entries_.find(channel);
  if (found == entries_.end() || !found->second.is_wanted) return;
  Entry& entry = found->second;
  entry.is_wanted = entry.is_live = false;
  stop_awaiting(entry);
  put(entry, entry.was_told ? Place::kRemoved : Place::kNone);
  erase_if_done(found);
}

void RedisSubscriptions::begin() {
  awaited_ = unconfirmed_ = 0;
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = at->second;
    put(entry, Place::kNone);
    if (!entry.is_wanted) {
      at = entries_.erase(at);
      continue;
    }
    entry.unconfirmed = 0;
    entry.was_told = entry.is_live = false;
    entry.is_awaited = true;
    ++awaited_;
    put(entry, Place::kAdded);
    ++at;
  }
}

bool RedisSubscriptions::next_command(std::vector<std::string_view>& command) {
  if (!has_command()) return false;
  const bool subscribes = !added_.empty();
  List& list = subscribes ? added_ : removed_;
  command.clear();
  command.emplace_back(subscribes ? "SUBSCRIBE" : "UNSUBSCRIBE");
  for (std::size_t bytes = 0; !list.empty() && command.size() <= kMostChannels && bytes < kMostBytes;) {
    Entry& entry = *list.first();
    command.push_back(entry.channel);
    put(entry, Place::kNone);
    entry.was_told = subscribes;
    ++entry.unconfirmed;
    ++unconfirmed_;
    bytes += entry.channel.size();
  }
  return true;
}

RedisSubscriptions::Confirmed RedisSubscriptions::confirm(bool is_subscribed, std::string_view channel) {
  const auto found = entries_.find(channel);
  if (found == entries_.end() || found->second.unconfirmed == 0) return Confirmed::kUnasked;
  Entry& entry = found->second;
  --entry.unconfirmed;
  --unconfirmed_;
  if (is_subscribed) stop_awaiting(entry);
  const bool is_last = entry.unconfirmed == 0 && entry.place == Place::kNone;
  if (is_last && is_subscribed && entry.is_wanted) {
    entry.is_live = true;
    return Confirmed::kLive;
  }
  erase_if_done(found);
  return Confirmed::kNothingNew;
}

bool RedisSubscriptions::is_live(std::string_view channel) const {
  const auto found = entries_.find(channel);
  return found != entries_.end() && found->second.is_live;
}

void RedisSubscriptions::put(Entry& entry, Place place) {
  if (entry.place == Place::kAdded) added_.remove(entry);
  if (entry.place == Place::kRemoved) removed_.remove(entry);
  entry.place = place;
  if (place == Place::kAdded) added_.push_back(entry);
  if (place == Place::kRemoved) removed_.push_back(entry);
}

void RedisSubscriptions::stop_awaiting(Entry& entry) {
  if (!entry.is_awaited) return;
  entry.is_awaited = false;
  --awaited_;
}

void RedisSubscriptions::erase_if_done(Entries::iterator entry) {
  const Entry& its = entry->second;
  if (!its.is_wanted && its.place == Place::kNone && its.unconfirmed == 0) entries_.erase(entry);
}

}  // namespace websockets
