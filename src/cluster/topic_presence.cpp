// SPDX-License-Identifier: MIT
#include "cluster/topic_presence.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>
#include <utility>

#include "cluster/redis_reply.h"
#include "loop/loop.h"

namespace websockets {
namespace {

constexpr std::uint64_t kFlushMs = 100;
constexpr std::size_t kTopicsPerFlush = 1000;
// What a node that has died left behind stays so long, if nobody asks; what stays is written anew within a third of it.
constexpr std::string_view kKeepMs = "10800000";
constexpr std::size_t kRenewalsPerRefresh = 360;
constexpr std::size_t kNodeDigits = 16;
constexpr const char* kDown = "cluster down";

// KEYS: the leases. ARGV: the node, for how long. Those that have run out long ago are forgotten.
constexpr std::string_view kRenew = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[2]))
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if tonumber(all[i + 1]) + 10800000 < now then redis.call('HDEL', KEYS[1], all[i]) end
end
redis.call('PEXPIRE', KEYS[1], 10800000)
)";

// KEYS: who is there, or how many, of a topic; the leases. Takes away what is of nodes that have died, and returns the
// names of the other fields, and their values.
constexpr std::string_view kLiving = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = redis.call('HGETALL', KEYS[1])
local lives, fields, values = {}, {}, {}
for i = 1, #all, 2 do
  local node = string.sub(all[i], 1, 16)
  if lives[node] == nil then lives[node] = tonumber(redis.call('HGET', KEYS[2], node) or 0) > now end
  if lives[node] then
    fields[#fields + 1] = all[i]
    values[#values + 1] = all[i + 1]
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return {fields, values}
)";

// Whether it is the answer of that script.
bool is_living(const RedisReply* reply) { return reply != nullptr && reply->elements.size() == 2; }

std::string why_not(const RedisReply* reply) { return reply == nullptr ? kDown : reply->text; }

}  // namespace

std::size_t TopicPresence::SubscriptionHash::operator()(const Subscription& one) const noexcept {
  const std::size_t subscriber = std::hash<const void*>()(one.subscriber);
  return subscriber * 31 ^ std::hash<const void*>()(one.topic);
}

TopicPresence::TopicPresence(Loop& loop, TopicPresenceOwner& owner, std::uint64_t lease_ms)
    : loop_(loop),
      owner_(owner),
      lease_ms_(std::to_string(lease_ms)),
      renewal_ms_(std::max<std::uint64_t>(lease_ms / 3, 1)) {}

TopicPresence::~TopicPresence() { abandon(); }

void TopicPresence::abandon() {
  is_over_ = true;
  loop_.cancel(flush_timer_);
  loop_.cancel(lease_timer_);
}

// --- What this node has ---

TopicPresence::States::value_type& TopicPresence::state_of(std::string_view topic) {
  const auto found = states_.find(topic);
  return found != states_.end() ? *found : *states_.try_emplace(std::string(topic)).first;
}

// Throws std::bad_alloc, and has done nothing then.
void TopicPresence::mark(States::value_type& topic) {
  if (topic.second.is_dirty || is_over_) return;
  dirty_.push_back(&topic);
  topic.second.is_dirty = true;
  if (!flush_timer_.scheduled()) loop_.schedule(flush_timer_, kFlushMs);
}

void TopicPresence::on_subscribed(std::string_view topic) { mark(state_of(topic)); }

// Short memory delays what others see of it until the topic is refreshed.
void TopicPresence::on_unsubscribed(const Subscriber& subscriber, std::string_view topic) {
  const auto found = states_.find(topic);
  if (found == states_.end()) return;
  leave(subscriber, *found);
  try {
    mark(*found);
  } catch (const std::bad_alloc&) {
  }
}

void TopicPresence::leave(const Subscriber& subscriber, States::value_type& topic) {
  const auto named = names_.find({&subscriber, &topic});
  if (named == names_.end()) return;
  const auto member = topic.second.members.find(named->second);
  --member->second.subscriptions;
  member->second.is_dirty = true;
  names_.erase(named);
}

void TopicPresence::enter(const Subscriber& subscriber, std::string_view topic, std::string_view name) {
  States::value_type& state = state_of(topic);
  mark(state);
  const auto member = state.second.members.try_emplace(std::string(name)).first;
  const auto [named, is_new] = names_.try_emplace({&subscriber, &state}, name);
  if (!is_new) {
    if (named->second == name) return;
    std::string copy(name);
    const auto before = state.second.members.find(named->second);
    --before->second.subscriptions;
    before->second.is_dirty = true;
    named->second = std::move(copy);
  }
  ++member->second.subscriptions;
  member->second.is_dirty = true;
}

// --- To Redis ---

// What a server does not take now is tried again.
void TopicPresence::flush() {
  std::size_t done = 0;
  try {
    while (done < dirty_.size() && done < kTopicsPerFlush && write(*dirty_[done])) ++done;
  } catch (const std::bad_alloc&) {
  }
  for (std::size_t i = 0; i < done; ++i) {
    States::value_type& topic = *dirty_[i];
    topic.second.is_dirty = false;
    const bool is_gone = topic.second.members.empty() && owner_.subscriptions(topic.first) == 0;
    if (is_gone) states_.erase(topic.first);
  }
  dirty_.erase(dirty_.begin(), dirty_.begin() + static_cast<std::ptrdiff_t>(done));
  // Those of a server that is away do not keep those of another one waiting.
  if (done == 0 && dirty_.size() > 1) std::rotate(dirty_.begin(), dirty_.begin() + 1, dirty_.end());
  if (!dirty_.empty() && !is_over_) loop_.schedule(flush_timer_, kFlushMs);
}

bool TopicPresence::write(States::value_type& topic) {
  const RedisStore server = owner_.server_of(topic.first);
  return write_count(server, topic) && write_members(server, topic);
}

bool TopicPresence::write_count(const RedisStore& server, States::value_type& topic) {
  const std::string key = server.names.name(RedisNames::kCount, topic.first);
  const std::size_t count = is_over_ ? 0 : owner_.subscriptions(topic.first);
  if (count == 0) return server.commands.send(std::array<std::string_view, 3>{"HDEL", key, owner_.node()}, {});
  return server.commands.send(std::array<std::string_view, 4>{"HSET", key, owner_.node(), std::to_string(count)}, {}) &&
         server.commands.send(std::array<std::string_view, 3>{"PEXPIRE", key, kKeepMs}, {});
}

bool TopicPresence::write_members(const RedisStore& server, States::value_type& topic) {
  const std::string key = server.names.name(RedisNames::kPresence, topic.first);
  bool is_there = false;
  for (auto member = topic.second.members.begin(); member != topic.second.members.end();) {
    Member& state = member->second;
    if (state.is_dirty) {
      const std::string field = owner_.node() + '/' + member->first;
      const std::size_t count = is_over_ ? 0 : state.subscriptions;
      const bool was_sent =
          count == 0
              ? server.commands.send(std::array<std::string_view, 3>{"HDEL", key, field}, {})
              : server.commands.send(std::array<std::string_view, 4>{"HSET", key, field, std::to_string(count)}, {});
      if (!was_sent) return false;
      state.is_dirty = false;
      is_there = is_there || count > 0;
    }
    member = state.subscriptions == 0 ? topic.second.members.erase(member) : std::next(member);
  }
  return !is_there || server.commands.send(std::array<std::string_view, 3>{"PEXPIRE", key, kKeepMs}, {});
}

void TopicPresence::on_up(const RedisStore& server) {
  if (is_over_) return;
  renew(server);
  for (States::value_type& topic : states_) {
    if (&owner_.server_of(topic.first).commands != &server.commands) continue;
    for (auto& member : topic.second.members) member.second.is_dirty = true;
    mark(topic);
  }
  if (!lease_timer_.scheduled()) loop_.schedule(lease_timer_, renewal_ms_);
}

void TopicPresence::renew(const RedisStore& server) {
  const std::string key = server.names.name(RedisNames::kLeases, {});
  server.commands.send(std::array<std::string_view, 6>{"EVAL", kRenew, "1", key, owner_.node(), lease_ms_}, {});
}

void TopicPresence::renew_all() {
  loop_.schedule(lease_timer_, renewal_ms_);
  try {
    for (const RedisStore& server : owner_.servers()) renew(server);
    refresh_some();
  } catch (const std::bad_alloc&) {
  }
}

// Some of the topics, so that within some time it was all of them.
void TopicPresence::refresh_some() {
  auto topic = refreshed_ ? states_.upper_bound(*refreshed_) : states_.begin();
  for (std::size_t left = states_.size() / kRenewalsPerRefresh + 1; left > 0 && topic != states_.end();
       --left, ++topic) {
    for (auto& member : topic->second.members) member.second.is_dirty = true;
    mark(*topic);
    refreshed_ = topic->first;
  }
  if (topic == states_.end()) refreshed_.reset();
}

void TopicPresence::finish() {
  abandon();
  try {
    for (const RedisStore& server : owner_.servers()) {
      const std::string key = server.names.name(RedisNames::kLeases, {});
      server.commands.send(std::array<std::string_view, 3>{"HDEL", key, owner_.node()}, {});
    }
    for (States::value_type& topic : states_) {
      for (auto& member : topic.second.members) member.second.is_dirty = true;
      if (!write(topic)) return;
    }
  } catch (const std::bad_alloc&) {
  }
}

// --- Asking ---

// What is to be written of the topic comes first.
void TopicPresence::write_asked(std::string_view topic) {
  const auto found = states_.find(topic);
  if (found != states_.end() && found->second.is_dirty) write(*found);
}

bool TopicPresence::ask(std::string_view topic, RedisNames::Kind kind, RedisCommands::OnReply on_reply) {
  write_asked(topic);
  const RedisStore server = owner_.server_of(topic);
  const std::string key = server.names.name(kind, topic);
  const std::string leases = server.names.name(RedisNames::kLeases, {});
  return server.commands.send(std::array<std::string_view, 5>{"EVAL", kLiving, "2", key, leases}, std::move(on_reply));
}

void TopicPresence::members(std::string_view topic, const OnMembers& on_members) {
  const bool was_sent = ask(topic, RedisNames::kPresence, [on_members](const RedisReply* reply) {
    if (!is_living(reply)) return on_members(nullptr, why_not(reply));
    std::vector<std::string> names;
    try {
      for (const RedisReply& field : reply->elements[0].elements) {
        names.push_back(field.text.substr(std::min(field.text.size(), kNodeDigits + 1)));
      }
    } catch (const std::bad_alloc&) {
      return on_members(nullptr, "not enough memory");
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    on_members(&names, {});
  });
  if (!was_sent) on_members(nullptr, kDown);
}

void TopicPresence::count(std::string_view topic, const OnCount& on_count) {
  const bool was_sent = ask(topic, RedisNames::kCount, [on_count](const RedisReply* reply) {
    if (!is_living(reply)) return on_count(nullptr, why_not(reply));
    std::uint64_t count = 0;
    for (const RedisReply& value : reply->elements[1].elements) count += std::strtoull(value.text.c_str(), nullptr, 10);
    on_count(&count, {});
  });
  if (!was_sent) on_count(nullptr, kDown);
}

}  // namespace websockets
