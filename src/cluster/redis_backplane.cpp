// SPDX-License-Identifier: MIT
#include "cluster/redis_backplane.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "cluster/cluster_message.h"
#include "cluster/random_id.h"
#include "cluster/redis_failure.h"
#include "loop/loop.h"
#include "server/hub.h"

namespace websockets {
namespace {

// The same on every machine: FNV-1a.
std::uint64_t hash(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char byte : name) hash = (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001B3U;
  return hash;
}

// Of a topic, for messages.
std::string_view excerpt(std::string_view topic) { return topic.substr(0, 100); }

// A message with its topic, several of a history, or a list of names.
std::size_t max_reply_bytes(std::size_t max_message_bytes) {
  constexpr std::size_t kBesides = 4U << 20U;
  return 2 * max_message_bytes + kBesides;
}

RedisLinkOptions link_options(const ClusterOptions& options, const ClusterOptions::Server& server,
                              std::size_t max_message_bytes) {
  RedisLinkOptions result;
  result.url = server.url;
  result.tls = server.tls;
  result.max_queued_bytes = options.max_queued_bytes;
  result.max_reply_bytes = max_reply_bytes(max_message_bytes);
  return result;
}

}  // namespace

RedisBackplane::RedisBackplane(const DialServices& services, const ClusterOptions& options,
                               std::size_t max_message_bytes, Hub& hub, RedisBackplaneOwner& owner)
    : loop_(services.loop),
      hub_(hub),
      owner_(owner),
      history_options_(options.history),
      max_message_bytes_(max_message_bytes),
      machine_(random_id()) {
  RedisLinkOwner& self = *this;
  shards_.reserve(options.servers.size());  // what is in them is referred to
  for (const ClusterOptions::Server& server : options.servers) {
    Shard& shard = shards_.emplace_back(Shard{RedisNames(options.prefix, server.url.database), server.url.text()});
    shard.link = std::make_unique<RedisLink>(services, link_options(options, server, max_message_bytes), self);
    TopicPresenceOwner& counts = *this;
    shard.presence =
        std::make_unique<TopicPresence>(loop_, *shard.link, shard.names, counts, max_reply_bytes(max_message_bytes));
  }
  hub_.set_cluster(this);
}

RedisBackplane::~RedisBackplane() {
  loop_.cancel(retry_timer_);
  hub_.set_cluster(nullptr);
}

const std::string& RedisBackplane::node() {
  if (process_.empty()) process_ = random_id();
  return process_;
}

// Whatever opens or subscribes was not there yet, as nobody was served.
void RedisBackplane::start() {
  for (const Subprotocol& subprotocol : hub_.subprotocols()) {
    Shard& shard = shard_of(subprotocol.name);
    shard.link->subscribe(shard.names.name(RedisNames::kBroadcast, subprotocol.name));
  }
  for (const Shard& shard : shards_) shard.link->start();
}

void RedisBackplane::finish() {
  loop_.cancel(retry_timer_);
  for (const Shard& shard : shards_) {
    shard.presence->finish();
    shard.link->finish();
  }
}

void RedisBackplane::abandon() {
  loop_.cancel(retry_timer_);
  for (const Shard& shard : shards_) {
    shard.presence->abandon();
    shard.link->abandon();
  }
}

// The one for which name and place together have the greatest hash, so that a further server takes its share of the
// topics from each of the others, and nothing else moves (rendezvous hashing).
const RedisBackplane::Shard& RedisBackplane::shard_of(std::string_view name) const {
  if (shards_.size() == 1) return shards_.front();
  const std::uint64_t of_name = hash(name);
  const Shard* best = &shards_.front();
  std::uint64_t best_hash = 0;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const std::array<char, 2> place{static_cast<char>(i), static_cast<char>(i >> 8U)};
    // FNV-1a leaves the last bytes in the low bits.
    const std::uint64_t mixed = (of_name ^ hash({place.data(), place.size()})) * 0x9E3779B97F4A7C15U;
    const std::uint64_t candidate = mixed ^ (mixed >> 32U);
    if (candidate <= best_hash) continue;
    best = &shards_[i];
    best_hash = candidate;
  }
  return *best;
}

RedisBackplane::Shard& RedisBackplane::shard_of(const RedisLink& link) {
  std::size_t i = 0;
  while (shards_[i].link.get() != &link) ++i;
  return shards_[i];
}

std::size_t RedisBackplane::subscriptions(std::string_view topic) { return hub_.topics().count(topic); }

std::vector<ClusterServerStats> RedisBackplane::stats() const {
  std::vector<ClusterServerStats> all;
  for (const Shard& shard : shards_) {
    const RedisLink::Stats link = shard.link->stats();
    all.push_back({shard.place, link.is_up, link.queued_bytes, link.sent, link.received, link.dropped, link.reconnects,
                   shard.gaps, link.probe_ms / 1000});
  }
  return all;
}

// --- To the others ---

DeliveryStatus RedisBackplane::send(RedisNames::Kind kind, std::string_view name, Opcode opcode,
                                    std::span<const std::uint8_t> data) {
  if (data.size() > max_message_bytes_) return DeliveryStatus::kTooLarge;
  const Shard& shard = shard_of(name);
  if (!shard.link->is_up()) return DeliveryStatus::kLocalOnly;
  ClusterMessage message;
  message.opcode = opcode;
  message.origin = machine_;
  const std::string channel = shard.names.name(kind, name);
  const std::string payload = message.header().append(as_text(data));
  const std::array<std::string_view, 3> command{"PUBLISH", channel, payload};
  const bool was_sent = shard.link->send(command, [this](const RedisReply* reply) {
    if (reply == nullptr || !reply->is_error()) return;
    tell_refused(told_messages_ms_, {"Redis does not publish messages: ", reply->text});
  });
  return was_sent ? DeliveryStatus::kDelivered : DeliveryStatus::kLocalOnly;
}

DeliveryStatus RedisBackplane::broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) {
  return send(RedisNames::kBroadcast, hub_.subprotocols()[subprotocol].name, Opcode::kBinary, data);
}

DeliveryStatus RedisBackplane::publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                                       const Receiver* except) {
  if (!has_history(topic)) return send(RedisNames::kTopic, topic, opcode, data);
  if (data.size() > max_message_bytes_) return DeliveryStatus::kTooLarge;
  Shard& shard = shard_of(topic);
  const bool was_sent =
      shard.link->is_up() && history_of(shard).publish(topic, opcode, data, except == nullptr ? 0 : except->serial());
  return was_sent ? DeliveryStatus::kByCluster : DeliveryStatus::kClusterDown;
}

void RedisBackplane::on_subscribed(Subscriber& /*subscriber*/, std::string_view name, bool is_first) {
  Shard& shard = shard_of(name);
  shard.presence->on_subscribed(name);
  if (!is_first) return;
  if (has_history(name)) {
    history_of(shard).on_topic(name);
    shard.link->subscribe(shard.names.name(RedisNames::kHistoryTopic, name));
  } else {
    shard.link->subscribe(shard.names.name(RedisNames::kTopic, name));
  }
}

// Short memory leaves the channel subscribed to: nobody here gets what comes by it.
void RedisBackplane::on_unsubscribed(Subscriber& subscriber, std::string_view name, bool is_last) {
  Shard& shard = shard_of(name);
  shard.presence->on_unsubscribed(subscriber, name);
  const bool has_history = shard.history != nullptr && this->has_history(name);
  if (has_history) shard.history->on_unsubscribed(static_cast<Receiver&>(subscriber), name, is_last);
  if (!is_last) return;
  try {
    shard.link->unsubscribe(shard.names.name(has_history ? RedisNames::kHistoryTopic : RedisNames::kTopic, name));
  } catch (const std::bad_alloc&) {
  }
}

// --- Histories ---

bool RedisBackplane::has_history(std::string_view topic) const {
  return std::any_of(history_options_.prefixes.begin(), history_options_.prefixes.end(),
                     [&](const std::string& prefix) { return topic.starts_with(prefix); });
}

TopicHistory& RedisBackplane::history_of(Shard& shard) {
  if (shard.history == nullptr) {
    TopicHistoryOwner& owner = *this;
    TopicHistoryOptions options;
    options.size = history_options_.size;
    options.ttl_ms = history_options_.ttl_ms;
    options.origin = node();
    options.max_message_bytes = max_message_bytes_;
    shard.history = std::make_unique<TopicHistory>(*shard.link, hub_, std::move(options), owner);
    if (shard.link->is_up()) shard.history->on_link_up(shard.link->replication_id());
  }
  return *shard.history;
}

void RedisBackplane::recover(Receiver& receiver, std::string_view topic, std::optional<std::string_view> since,
                             OnHistoryReady on_ready) {
  history_of(shard_of(topic)).begin(receiver, topic, since, std::move(on_ready));
}

bool RedisBackplane::is_refused() const {
  return std::any_of(shards_.begin(), shards_.end(),
                     [](const Shard& shard) { return shard.history != nullptr && shard.history->is_refused(); });
}

bool RedisBackplane::has_work() const {
  return (!retry_timer_.scheduled() && is_refused()) ||
         std::any_of(shards_.begin(), shards_.end(),
                     [](const Shard& shard) { return shard.history != nullptr && shard.history->has_more(); });
}

void RedisBackplane::do_work() {
  constexpr std::uint64_t kRetryMs = 1000;
  for (const Shard& shard : shards_) {
    if (shard.history != nullptr) shard.history->deliver();
  }
  if (!retry_timer_.scheduled() && is_refused()) loop_.schedule(retry_timer_, kRetryMs);
}

void RedisBackplane::retry() {
  for (const Shard& shard : shards_) {
    if (shard.history != nullptr) shard.history->retry();
  }
}

std::string RedisBackplane::history_name(char kind, std::string_view topic) const {
  return shard_of(topic).names.name(static_cast<RedisNames::Kind>(kind), topic);
}

void RedisBackplane::on_history_gap(std::string_view topic) {
  try {
    tell_gap(shard_of(topic), topic);
  } catch (const std::bad_alloc&) {
    tell_gap(shard_of(topic), "memory is short");
  }
}

void RedisBackplane::on_history_error(std::string_view topic, const std::string& why) {
  tell_refused(told_histories_ms_, {"Redis does not keep the history of '", excerpt(topic), "': ", why});
}

void RedisBackplane::on_presence_error(std::string_view topic, const std::string& why) {
  tell_refused(told_presence_ms_, {"Redis does not keep who is at '", excerpt(topic), "': ", why});
}

void RedisBackplane::tell_refused(std::uint64_t& told_ms, std::initializer_list<std::string_view> text) {
  constexpr std::uint64_t kAgainMs = 60'000;
  if (told_ms != 0 && loop_.now_ms() < told_ms + kAgainMs) return;
  try {
    std::string all;
    for (const std::string_view part : text) all.append(part);
    all = printable_redis_error(all, {});
    told_ms = loop_.now_ms();
    owner_.on_cluster_report(all);
  } catch (const std::bad_alloc&) {
  }
}

// --- From the others ---

void RedisBackplane::on_link_up(RedisLink& link) {
  Shard& shard = shard_of(link);
  try {
    shard.presence->on_up();
    if (shard.history != nullptr) shard.history->on_link_up(link.replication_id());
  } catch (const std::bad_alloc&) {
    // What is not written now is refreshed in time.
  }
  owner_.on_cluster(ClusterEvent::kUp, shard.place);
  if (std::exchange(shard.was_up, true)) tell_gap(shard, shard.place);
}

void RedisBackplane::tell_gap(Shard& shard, std::string_view why) {
  ++shard.gaps;
  owner_.on_cluster(ClusterEvent::kGap, why);
}

void RedisBackplane::on_link_down(RedisLink& link, const std::string& why, bool needs_help) {
  const Shard& shard = shard_of(link);
  if (shard.history != nullptr) shard.history->on_link_down();
  if (needs_help) owner_.on_cluster_report(why);
  owner_.on_cluster(ClusterEvent::kDown, why);
}

void RedisBackplane::on_subscribed(RedisLink& link, std::string_view channel) {
  const Shard& shard = shard_of(link);
  const auto parsed = shard.names.parse(channel);
  if (shard.history == nullptr || !parsed || parsed->kind != RedisNames::kHistoryTopic) return;
  shard.history->on_subscribed(parsed->of);
}

void RedisBackplane::on_message(RedisLink& link, std::string_view channel, std::span<const std::uint8_t> payload) {
  Shard& shard = shard_of(link);
  const auto parsed = shard.names.parse(channel);
  const auto message = ClusterMessage::parse(payload);
  if (!parsed || !message || message->origin == machine_ || message->data.size() > max_message_bytes_) return;
  if (parsed->kind == RedisNames::kHistoryTopic) {
    if (shard.history != nullptr) shard.history->on_message(parsed->of, *message);
    return;
  }
  try {
    deliver(*parsed, *message);
  } catch (const std::bad_alloc&) {
    tell_gap(shard, "memory is short");
  }
}

void RedisBackplane::deliver(const RedisNames::Parsed& channel, const ClusterMessage& message) {
  if (channel.kind == RedisNames::kTopic) {
    hub_.deliver(channel.of, message.opcode, message.data);
  } else if (channel.kind == RedisNames::kBroadcast) {
    if (const Subprotocol* const subprotocol = hub_.find(channel.of)) hub_.deliver(*subprotocol, message.data);
  }
}

}  // namespace websockets
