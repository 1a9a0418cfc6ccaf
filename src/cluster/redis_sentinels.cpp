// SPDX-License-Identifier: MIT
#include "cluster/redis_sentinels.h"

#include <array>
#include <charconv>
#include <limits>
#include <new>
#include <utility>

namespace websockets {
namespace {

using Remedy = RedisFailure::Remedy;

// What a sentinel has to say is short.
constexpr std::size_t kMostReplyBytes = 16U << 10U;

bool read_port(std::string_view text, std::uint16_t& port) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && rest == end && port != 0;
}

}  // namespace

void RedisSentinels::start() {
  asked_ = ignorant_ = 0;
  ask_next();
}

void RedisSentinels::ask_next() {
  has_logged_in_ = false;
  ++asked_;
  try {
    const RedisUrl::Server& server = url_.servers[current_];
    RedisConnectionOptions options;
    options.target.host = server.host;
    options.target.port = server.port;
    options.has_greeting = false;
    options.max_reply_bytes = kMostReplyBytes;
    options.timeout_ms = timeout_ms_;
    connection_ = RedisConnection::create(services_, std::move(options), *this);
  } catch (const std::bad_alloc&) {
    return pass(redis_failure(Remedy::kRetry, {"memory is short"}));
  }
  connection_->start();
}

// This one is of no use.
void RedisSentinels::pass(RedisFailure failure) {
  connection_.reset();
  const std::size_t count = url_.servers.size();
  current_ = (current_ + 1) % count;
  if (asked_ < count) return ask_next();
  // The last one's word; but a name that none of them knows is a wrong one.
  failure.remedy = ignorant_ == count ? Remedy::kHelp : Remedy::kRetry;
  owner_.on_master_not_found(std::move(failure));
}

void RedisSentinels::on_connection_ready(RedisConnection& /*connection*/) { ask(); }

void RedisSentinels::ask() {
  const std::array<std::string_view, 3> command = {"SENTINEL", "get-master-addr-by-name", url_.master_name};
  try {
    connection_->send(command, [this](const RedisReply* reply) {
      if (reply != nullptr) on_answer(*reply);
    });
  } catch (const std::bad_alloc&) {
    pass(redis_failure(Remedy::kRetry, {"memory is short"}));
  }
}

void RedisSentinels::on_answer(const RedisReply& reply) {
  const std::string place = connection_->place();
  if (reply.is_error()) {
    // Most sentinels ask for no password; one that does has the master's.
    if (reply.text.starts_with("NOAUTH") && !url_.password.empty() && !std::exchange(has_logged_in_, true)) {
      return log_in();
    }
    return pass(
        redis_failure(Remedy::kRetry, {"sentinel ", place, ": ", printable_redis_error(reply.text, url_.password)}));
  }
  if (reply.type == RedisReply::Type::kNil) {
    ++ignorant_;
    return pass(redis_failure(Remedy::kRetry, {"sentinel ", place, ": it knows no master '", url_.master_name, "'"}));
  }
  std::uint16_t port = 0;
  if (reply.elements.size() != 2 || reply.elements[0].text.empty() || !read_port(reply.elements[1].text, port)) {
    return pass(redis_failure(Remedy::kRetry, {"sentinel ", place, ": it does not speak as a sentinel does"}));
  }
  connection_.reset();
  owner_.on_master_found(reply.elements[0].text, port);
}

void RedisSentinels::log_in() {
  const std::array<std::string_view, 3> all = {"AUTH", url_.username, url_.password};
  const std::array<std::string_view, 2> password = {"AUTH", url_.password};
  using Command = std::span<const std::string_view>;
  try {
    // What comes of it, the next answer tells.
    connection_->send(url_.username.empty() ? Command(password) : Command(all), nullptr);
  } catch (const std::bad_alloc&) {
    return pass(redis_failure(Remedy::kRetry, {"memory is short"}));
  }
  ask();
}

void RedisSentinels::on_unasked(RedisConnection& connection, const RedisReply& /*reply*/) {
  pass(redis_failure(Remedy::kRetry, {"sentinel ", connection.place(), ": it spoke unasked"}));
}

void RedisSentinels::on_connection_lost(RedisConnection& /*connection*/, RedisFailure failure) {
  pass(redis_failure(failure.remedy, {"sentinel ", failure.why}));
}

void RedisSentinels::abandon() {
  if (connection_ != nullptr) connection_->abandon();
  connection_.reset();
}

}  // namespace websockets
