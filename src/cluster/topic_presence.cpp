// SPDX-License-Identifier: MIT
#include "cluster/topic_presence.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <utility>

#include "cluster/redis_failure.h"
#include "cluster/redis_reply.h"
#include "loop/loop.h"

namespace websockets {
namespace {

constexpr std::uint64_t kFlushMs = 100;
constexpr std::size_t kTopicsPerFlush = 1000;
// What a node that has died left behind stays so long, if nobody asks; what stays is written anew within a third of it.
constexpr std::string_view kKeepMs = "10800000";
constexpr std::size_t kRenewalsPerRefresh = 360;

// KEYS: the leases. ARGV: the node, for how long. Those that have run out long ago are forgotten. Returns 0 if the node
// had none any more: what it has written may have been taken away.
constexpr std::string_view kRenew = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) or 0
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[2]))
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if (tonumber(all[i + 1]) or 0) + 10800000 < now then redis.call('HDEL', KEYS[1], all[i]) end
end
redis.call('PEXPIRE', KEYS[1], 10800000)
return lease > now and 1 or 0
)";

// KEYS: who is there, or how many, of a topic; the leases. ARGV: how many bytes a reply may take; '' asks for the
// number. Takes away what is of nodes that have died. Returns the names of the others, each once, or the sum of their
// values.
constexpr std::string_view kLiving = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = redis.call('HGETALL', KEYS[1])
local room = tonumber(ARGV[1])
local lives, seen, names, sum = {}, {}, {}, 0
for i = 1, #all, 2 do
  local node, name = string.sub(all[i], 1, 16), string.sub(all[i], 18)
  if lives[node] == nil then lives[node] = (tonumber(redis.call('HGET', KEYS[2], node) or 0) or 0) > now end
  if not lives[node] then
    redis.call('HDEL', KEYS[1], all[i])
  elseif not room then
    sum = sum + (tonumber(all[i + 1]) or 0)
  elseif not seen[name] then
    seen[name] = true
    names[#names + 1] = name
    room = room - #name - 160
    if room < 0 then return redis.error_reply('ERR too many names') end
  end
end
return room and names or sum
)";

Error down() { return {"cluster down", ENOTCONN}; }

Error why_not(const RedisReply* reply) {
  return reply == nullptr ? down() : Error{printable_redis_error(reply->text, {}), EIO};
}

}  // namespace

std::size_t TopicPresence::SubscriptionHash::operator()(const Subscription& one) const noexcept {
  const std::size_t subscriber = std::hash<const void*>()(one.subscriber);
  return subscriber * 31 ^ std::hash<const void*>()(one.topic);
}

TopicPresence::TopicPresence(Loop& loop, RedisCommands& commands, const RedisNames& names, TopicPresenceOwner& owner,
                             std::size_t max_reply_bytes, std::uint64_t lease_ms)
    : loop_(loop),
      commands_(commands),
      redis_names_(names),
      owner_(owner),
      renewing_(commands, kRenew),
      asking_(commands, kLiving),
      max_reply_bytes_(std::to_string(max_reply_bytes)),
      lease_ms_(std::to_string(lease_ms)),
      renewal_ms_(std::max<std::uint64_t>(lease_ms / 3, 1)),
      self_(std::make_shared<TopicPresence*>(this)) {}

TopicPresence::~TopicPresence() {
  abandon();
  *self_ = nullptr;
}

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

void TopicPresence::mark_all_of(States::value_type& topic) {
  topic.second.is_count_dirty = true;
  for (auto& member : topic.second.members) member.second.is_dirty = true;
  mark(topic);
}

void TopicPresence::mark_all() {
  for (States::value_type& topic : states_) mark_all_of(topic);
}

void TopicPresence::on_subscribed(std::string_view topic) {
  States::value_type& state = state_of(topic);
  mark(state);
  state.second.is_count_dirty = true;
}

// Short memory delays what others see of it until the topic is refreshed.
void TopicPresence::on_unsubscribed(const Subscriber& subscriber, std::string_view topic) {
  const auto found = states_.find(topic);
  if (found == states_.end()) return;
  leave(subscriber, *found);
  found->second.is_count_dirty = true;
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

// What the server does not take now is tried again.
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
  if (!dirty_.empty() && !is_over_) loop_.schedule(flush_timer_, kFlushMs);
}

bool TopicPresence::write(States::value_type& topic) { return write_count(topic) && write_members(topic); }

// A field of a hash; 0 takes it away.
bool TopicPresence::set(std::string_view key, std::string_view field, std::size_t count,
                        RedisCommands::OnReply on_reply) {
  if (count == 0) return commands_.send(std::array<std::string_view, 3>{"HDEL", key, field}, std::move(on_reply));
  const std::string number = std::to_string(count);
  return commands_.send(std::array<std::string_view, 4>{"HSET", key, field, number}, std::move(on_reply));
}

// For a time. Where it fails, the key is given one when the topic is refreshed.
void TopicPresence::keep(std::string_view key) {
  commands_.send(std::array<std::string_view, 3>{"PEXPIRE", key, kKeepMs}, {});
}

bool TopicPresence::write_count(States::value_type& topic) {
  if (!topic.second.is_count_dirty) return true;
  const std::string key = redis_names_.name(RedisNames::kCount, topic.first);
  const std::size_t count = is_over_ ? 0 : owner_.subscriptions(topic.first);
  if (!set(key, owner_.node(), count, unless_written(topic.first, {}))) return false;
  topic.second.is_count_dirty = false;
  if (count > 0) keep(key);
  return true;
}

bool TopicPresence::write_members(States::value_type& topic) {
  const std::string key = redis_names_.name(RedisNames::kPresence, topic.first);
  bool is_there = false;
  for (auto member = topic.second.members.begin(); member != topic.second.members.end();) {
    Member& state = member->second;
    if (state.is_dirty) {
      const std::size_t count = is_over_ ? 0 : state.subscriptions;
      if (!set(key, owner_.node() + '/' + member->first, count, unless_written(topic.first, member->first)))
        return false;
      state.is_dirty = false;
      is_there = is_there || count > 0;
    }
    member = state.subscriptions == 0 ? topic.second.members.erase(member) : std::next(member);
  }
  if (is_there) keep(key);
  return true;
}

RedisCommands::OnReply TopicPresence::unless_written(std::string_view topic, std::optional<std::string_view> name) {
  return [self = self_, topic = std::string(topic), name = std::optional<std::string>(name)](const RedisReply* reply) {
    if (*self == nullptr || (reply != nullptr && !reply->is_error())) return;
    try {
      (*self)->on_not_written(topic, name, reply);
    } catch (const std::bad_alloc&) {
      // What others see of it is delayed until the topic is refreshed.
    }
  };
}

// What is not here any more has to be taken away there all the same. A link that was lost is told all when it is up.
void TopicPresence::on_not_written(std::string_view topic, const std::optional<std::string>& name,
                                   const RedisReply* reply) {
  if (is_over_) return;
  State& state = state_of(topic).second;
  state.was_refused = true;
  if (name) {
    state.members[*name].is_dirty = true;
  } else {
    state.is_count_dirty = true;
  }
  if (reply != nullptr) owner_.on_presence_error(topic, reply->text);
}

void TopicPresence::on_up() {
  if (is_over_) return;
  renew(false);
  mark_all();
  if (!lease_timer_.scheduled()) loop_.schedule(lease_timer_, renewal_ms_);
}

// `was_up`: what was written before should be there still.
void TopicPresence::renew(bool was_up) {
  const std::string key = redis_names_.name(RedisNames::kLeases, {});
  RedisCommands::OnReply on_reply;
  if (was_up) {
    on_reply = [self = self_](const RedisReply* reply) {
      const bool was_dead = reply != nullptr && !reply->is_error() && reply->integer == 0;
      if (*self == nullptr || (*self)->is_over_ || !was_dead) return;
      try {
        (*self)->mark_all();
      } catch (const std::bad_alloc&) {
        // Likewise.
      }
    };
  }
  renewing_.run(std::array<std::string_view, 1>{key}, std::array<std::string_view, 2>{owner_.node(), lease_ms_},
                std::move(on_reply));
}

void TopicPresence::on_renewal() {
  loop_.schedule(lease_timer_, renewal_ms_);
  try {
    renew(true);
    for (States::value_type& topic : states_) {
      if (std::exchange(topic.second.was_refused, false)) mark(topic);
    }
    refresh_some();
  } catch (const std::bad_alloc&) {
  }
}

// Some of the topics, so that within some time it was all of them.
void TopicPresence::refresh_some() {
  auto topic = refreshed_ ? states_.upper_bound(*refreshed_) : states_.begin();
  for (std::size_t left = states_.size() / kRenewalsPerRefresh + 1; left > 0 && topic != states_.end();
       --left, ++topic) {
    mark_all_of(*topic);
    refreshed_ = topic->first;
  }
  if (topic == states_.end()) refreshed_.reset();
}

void TopicPresence::finish() {
  abandon();
  try {
    set(redis_names_.name(RedisNames::kLeases, {}), owner_.node(), 0, {});
    for (States::value_type& topic : states_) {
      topic.second.is_count_dirty = true;
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
  if (found != states_.end() && (found->second.is_dirty || found->second.was_refused)) write(*found);
}

bool TopicPresence::ask(std::string_view topic, RedisNames::Kind kind, std::string_view room,
                        RedisCommands::OnReply on_reply) {
  write_asked(topic);
  const std::string key = redis_names_.name(kind, topic);
  const std::string leases = redis_names_.name(RedisNames::kLeases, {});
  return asking_.run(std::array<std::string_view, 2>{key, leases}, std::array<std::string_view, 1>{room},
                     std::move(on_reply));
}

void TopicPresence::members(std::string_view topic, const OnMembers& on_members) {
  const bool was_sent = ask(topic, RedisNames::kPresence, max_reply_bytes_, [on_members](const RedisReply* reply) {
    if (reply == nullptr || reply->type != RedisReply::Type::kArray) return on_members(nullptr, why_not(reply));
    std::vector<std::string> names;
    try {
      names.reserve(reply->elements.size());
      for (const RedisReply& name : reply->elements) names.push_back(name.text);
    } catch (const std::bad_alloc&) {
      return on_members(nullptr, {"not enough memory", ENOMEM});
    }
    std::sort(names.begin(), names.end());
    on_members(&names, {});
  });
  if (!was_sent) on_members(nullptr, down());
}

void TopicPresence::count(std::string_view topic, const OnCount& on_count) {
  const bool was_sent = ask(topic, RedisNames::kCount, {}, [on_count](const RedisReply* reply) {
    if (reply == nullptr || reply->type != RedisReply::Type::kInteger) return on_count(nullptr, why_not(reply));
    const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(reply->integer, 0));
    on_count(&count, {});
  });
  if (!was_sent) on_count(nullptr, down());
}

}  // namespace websockets
