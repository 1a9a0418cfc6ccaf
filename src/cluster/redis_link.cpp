// SPDX-License-Identifier: MIT
#include "cluster/redis_link.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <new>

#include "base/bytes.h"
#include "base/clock.h"
#include "loop/loop.h"

namespace websockets {
namespace {

using Remedy = RedisFailure::Remedy;

// A timer that is so late means that nobody was served for so long, whatever the server has done in time.
constexpr std::uint64_t kLateMs = 1000;
constexpr std::uint64_t kSecondChanceMs = 1000;
// Of a server that loads its data.
constexpr double kSoonMs = 1000;
// What an argument takes beside its bytes: "$5\r\n", "\r\n".
constexpr std::size_t kArgumentBytes = 16;

// From 0 to 1.
double random_fraction() {
  std::uint32_t value = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&value), sizeof value) != 1) return 0.5;
  return value / static_cast<double>(std::numeric_limits<std::uint32_t>::max());
}

std::size_t size_of(std::span<const std::string_view> command) {
  std::size_t size = kArgumentBytes;
  for (const std::string_view argument : command) size += argument.size() + kArgumentBytes;
  return size;
}

RedisFailure without_memory() noexcept { return redis_failure(Remedy::kRetry, {"memory is short"}); }

}  // namespace

RedisLink::RedisLink(const DialServices& services, const RedisLinkOptions& options, RedisLinkOwner& owner)
    : services_(services),
      options_(options),
      owner_(owner),
      retry_(options_.retry),
      sentinels_(services_, options_.url, options_.connect_timeout_ms, *this) {}

RedisLink::~RedisLink() {
  const Loop::Round round(services_.loop);
  state_ = State::kFinished;
  sentinels_.abort();
  commands_.reset();
  subscriber_.reset();
}

// --- Connecting ---

void RedisLink::start() {
  const Loop::Round round(services_.loop);
  attempt();
}

void RedisLink::attempt() {
  if (!options_.url.is_sentinel()) {
    const bool is_unix = !options_.url.unix_path.empty();
    return is_unix ? connect({}, 0) : connect(options_.url.servers[0].host, options_.url.servers[0].port);
  }
  state_ = State::kLooking;
  sentinels_.start();
}

void RedisLink::connect(const std::string& host, std::uint16_t port) {
  state_ = State::kConnecting;
  try {
    RedisConnectionOptions options;
    options.target.host = host;
    options.target.port = port;
    options.target.unix_path = options_.url.unix_path;
    options.target.is_tls = options_.url.is_tls;
    options.target.tls = options_.tls;
    options.username = options_.url.username;
    options.password = options_.url.password;
    options.database = options_.url.database;
    options.max_reply_bytes = options_.max_reply_bytes;
    options.timeout_ms = options_.connect_timeout_ms;
    commands_ = RedisConnection::create(services_, options, *this);
    subscriber_ = RedisConnection::create(services_, std::move(options), *this);
  } catch (const std::bad_alloc&) {
    return lose(without_memory());
  }
  commands_->start();
  if (subscriber_ != nullptr) subscriber_->start();  // else the first one has failed at once
}

void RedisLink::on_connection_ready(RedisConnection& connection) {
  if (!commands_->is_ready() || !subscriber_->is_ready()) return;
  // Behind one name, or one address, there may be several.
  if (commands_->replication_id() != subscriber_->replication_id()) {
    return lose(redis_failure(Remedy::kRetry, {connection.place(), ": there are several masters"}));
  }
  try {
    replication_id_ = commands_->replication_id();
    state_ = State::kSubscribing;
    awaits_role_ = awaits_pong_ = false;
    subscriptions_.begin();
    send_probe();
    tell_subscriptions();
  } catch (const std::bad_alloc&) {
    lose(without_memory());
  }
}

void RedisLink::on_connection_lost(RedisConnection& /*connection*/, RedisFailure failure) { lose(failure); }

void RedisLink::become_up() {
  state_ = State::kUp;
  up_since_ms_ = monotonic_exact_ms();
  is_told_down_ = false;
  if (std::exchange(was_up_, true)) ++stats_.reconnects;
  owner_.on_link_up(*this);
}

// --- Commands and subscriptions ---

// One that is larger than the bound may go while none waits: else it never could.
bool RedisLink::send(std::span<const std::string_view> command, OnReply on_reply) {
  const std::size_t queued = state_ == State::kUp ? commands_->queued_bytes() : 0;
  if (state_ != State::kUp || (queued > 0 && queued + size_of(command) > options_.max_queued_bytes)) {
    ++stats_.dropped;
    return false;
  }
  commands_->send(command, std::move(on_reply));
  ++stats_.sent;
  return true;
}

void RedisLink::subscribe(std::string_view channel) {
  subscriptions_.add(channel);
  if (is_connected()) subscriber_->defer();
}

void RedisLink::unsubscribe(std::string_view channel) {
  subscriptions_.remove(channel);
  if (is_connected()) subscriber_->defer();
}

void RedisLink::on_deferred(RedisConnection& connection) {
  if (&connection == subscriber_.get() && is_connected()) tell_subscriptions();
}

// Throws std::bad_alloc; the connection is of no use any more then.
void RedisLink::tell_subscriptions() {
  while (subscriptions_.next_command(command_)) subscriber_->tell(command_);
  if (state_ == State::kSubscribing && subscriptions_.is_complete()) become_up();
}

void RedisLink::on_unasked(RedisConnection& connection, const RedisReply& reply) {
  if (reply.is_error()) return lose(connection, reply);
  const std::vector<RedisReply>& parts = reply.elements;
  const std::string_view kind = parts.empty() ? reply.text : parts[0].text;
  const bool is_of_channel = &connection == subscriber_.get() && is_connected() && parts.size() == 3;
  if (is_of_channel && kind == "message") return on_message(parts[1].text, parts[2].text);
  if (is_of_channel && (kind == "subscribe" || kind == "unsubscribe")) {
    return on_confirmed(kind == "subscribe", parts[1].text);
  }
  // In an array if there are subscriptions, in a status else.
  if (kind == "pong" || kind == "PONG") {
    awaits_pong_ = false;
    return;
  }
  lose(redis_failure(Remedy::kRetry, {connection.place(), ": it spoke unasked"}));
}

// What comes before the owner knows that the link is up, it would not expect.
void RedisLink::on_message(std::string_view channel, std::string_view payload) {
  if (state_ != State::kUp || !subscriptions_.is_live(channel)) return;
  ++stats_.received;
  owner_.on_message(*this, channel, as_bytes(payload));
}

void RedisLink::on_confirmed(bool is_subscribed, std::string_view channel) {
  using Confirmed = RedisSubscriptions::Confirmed;
  const Confirmed confirmed = subscriptions_.confirm(is_subscribed, channel);
  if (confirmed == Confirmed::kUnasked) {
    return lose(redis_failure(Remedy::kRetry, {subscriber_->place(), ": it spoke unasked"}));
  }
  if (state_ == State::kSubscribing && subscriptions_.is_complete()) return become_up();
  if (subscriptions_.has_command()) subscriber_->defer();
  if (confirmed == Confirmed::kLive && state_ == State::kUp) owner_.on_subscribed(*this, channel);
}

bool RedisLink::is_subscribed(std::string_view channel) const {
  return state_ == State::kUp && subscriptions_.is_live(channel);
}

// --- Probes ---

// A master that was demoted keeps its connections, and a dead host says nothing.
void RedisLink::send_probe() {
  if (!awaits_role_) {
    commands_->send(std::array<std::string_view, 1>{"ROLE"}, [this](const RedisReply* reply) {
      if (reply != nullptr) on_role(*reply);
    });
    awaits_role_ = true;
    probed_at_ms_ = monotonic_exact_ms();
  }
  if (!awaits_pong_) {
    subscriber_->tell(std::array<std::string_view, 1>{"PING"});
    awaits_pong_ = true;
  }
  had_second_chance_ = false;
  services_.loop.schedule(*this, options_.probe_ms);
}

void RedisLink::on_role(const RedisReply& reply) {
  awaits_role_ = false;
  stats_.probe_ms = monotonic_exact_ms() - probed_at_ms_;
  if (reply.is_error()) return lose(*commands_, reply);
  if (auto failure = check_role(reply, commands_->place())) lose(*failure);
}

void RedisLink::on_timeout() {
  if (state_ == State::kWaiting) return attempt();
  // An answer may be behind others that take their time to come.
  const bool is_speaking = commands_->take_activity() || !awaits_role_;
  const bool is_publishing = subscriber_->take_activity() || !awaits_pong_;
  if (is_speaking && is_publishing) {
    try {
      return send_probe();
    } catch (const std::bad_alloc&) {
      return lose(without_memory());
    }
  }
  Loop& loop = services_.loop;
  if (!std::exchange(had_second_chance_, true) && loop.now_ms() >= deadline_ms() + kLateMs) {
    return loop.schedule(*this, kSecondChanceMs);
  }
  lose(redis_failure(Remedy::kRetry, {commands_->place(), ": there was no answer in time"}));
}

// --- Losses ---

void RedisLink::lose(RedisConnection& connection, const RedisReply& error) {
  const std::string text = printable_redis_error(error.text, options_.url.password);
  lose(redis_failure(remedy_for_greeting(error.text), {connection.place(), ": ", text}));
}

void RedisLink::lose(const RedisFailure& failure) noexcept {
  if (state_ == State::kWaiting || state_ == State::kFinished) return;
  const double up_for_s = state_ == State::kUp ? (monotonic_exact_ms() - up_since_ms_) / 1000 : 0;
  const std::uint64_t wait_ms = retry_wait_ms(failure.remedy, up_for_s);
  state_ = State::kWaiting;
  services_.loop.cancel(*this);
  sentinels_.abort();
  subscriber_.reset();
  if (const RedisConnection::Pointer commands = std::move(commands_)) commands->break_off();
  if (state_ == State::kWaiting) tell_down(failure, up_for_s);
  // Last: what the calls above do may take long, and serve the loop.
  if (state_ == State::kWaiting) services_.loop.schedule(*this, wait_ms);
}

// A link that is up each time until it needs the same help again says so once.
void RedisLink::tell_down(const RedisFailure& failure, double up_for_s) {
  if (up_for_s > options_.retry.stable) told_help_ = 0;
  const std::size_t help = failure.remedy == Remedy::kHelp ? std::hash<std::string>()(failure.why) : 0;
  const bool needs_other_help = help != 0 && help != told_help_;
  if (needs_other_help) told_help_ = help;
  if (!std::exchange(is_told_down_, true) || needs_other_help) {
    owner_.on_link_down(*this, failure.why, needs_other_help);
  }
}

std::uint64_t RedisLink::retry_wait_ms(Remedy remedy, double up_for_s) {
  const double random = random_fraction();
  const double usual_ms = 1000 * retry_.next_delay(up_for_s, {}, random).value_or(options_.retry.max_delay);
  if (remedy == Remedy::kHelp) return options_.help_retry_ms;
  if (remedy == Remedy::kRetrySoon) return static_cast<std::uint64_t>(kSoonMs * (1 + random) / 2);
  return static_cast<std::uint64_t>(usual_ms);
}

void RedisLink::finish() {
  const Loop::Round round(services_.loop);
  state_ = State::kFinished;
  services_.loop.cancel(*this);
  sentinels_.abort();
  if (commands_ != nullptr) commands_->finish();
  commands_.reset();
  subscriber_.reset();
}

void RedisLink::abandon() {
  state_ = State::kFinished;
  services_.loop.cancel(*this);
  sentinels_.abandon();
  if (commands_ != nullptr) commands_->abandon();
  if (subscriber_ != nullptr) subscriber_->abandon();
  commands_.reset();
  subscriber_.reset();
}

RedisLink::Stats RedisLink::stats() const {
  Stats stats = stats_;
  stats.is_up = is_up();
  if (commands_ != nullptr) stats.queued_bytes += commands_->queued_bytes();
  if (subscriber_ != nullptr) stats.queued_bytes += subscriber_->queued_bytes();
  return stats;
}

}  // namespace websockets
