// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cluster/redis_connection.h"
#include "cluster/redis_failure.h"
#include "cluster/redis_url.h"

namespace websockets {

// One call comes of each look-up, in a round. It throws nothing, and may do anything but destroy the sentinels.
class RedisSentinelsOwner {
 public:
  virtual void on_master_found(const std::string& host, std::uint16_t port) = 0;
  virtual void on_master_not_found(RedisFailure failure) = 0;

 protected:
  ~RedisSentinelsOwner() = default;
};

// Asks the sentinels of a URL which server is the master, one after the other, until one knows it. The next look-up
// begins with the one that knew it last.
class RedisSentinels final : private RedisConnectionOwner {
 public:
  // `url` outlives it. `timeout_ms`: for each of the sentinels.
  RedisSentinels(const DialServices& services, const RedisUrl& url, std::uint64_t timeout_ms,
                 RedisSentinelsOwner& owner)
      : services_(services), url_(url), timeout_ms_(timeout_ms), owner_(owner) {}

  // In a round, while no look-up is under way. May call the owner.
  void start();
  // Calls nobody.
  void abort() { connection_.reset(); }
  // In a forked process: likewise, and without a word to the sentinel.
  void abandon();

 private:
  void ask_next();
  void ask();
  void log_in();
  void on_answer(const RedisReply& reply);
  void pass(RedisFailure failure);

  void on_connection_ready(RedisConnection& connection) override;
  void on_unasked(RedisConnection& connection, const RedisReply& reply) override;
  void on_deferred(RedisConnection& /*connection*/) override {}
  void on_connection_lost(RedisConnection& connection, RedisFailure failure) override;

  const DialServices services_;
  const RedisUrl& url_;
  const std::uint64_t timeout_ms_;
  RedisSentinelsOwner& owner_;
  RedisConnection::Pointer connection_;  // to the one that is asked
  std::size_t current_ = 0;              // which one that is
  std::size_t asked_ = 0;                // how many were
  std::size_t ignorant_ = 0;             // of these, how many do not know the name
  bool has_logged_in_ = false;
};

}  // namespace websockets
