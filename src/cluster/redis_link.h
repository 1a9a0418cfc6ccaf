// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/redis_commands.h"
#include "cluster/redis_connection.h"
#include "cluster/redis_sentinels.h"
#include "cluster/redis_subscriptions.h"
#include "cluster/redis_url.h"
#include "dial/dialer.h"
#include "dial/retry_policy.h"
#include "net/timer_wheel.h"
#include "net/tls_client_context.h"

namespace websockets {

class RedisLink;

// All calls are made within a Loop::Round. They may do anything but destroy the link; they throw nothing.
class RedisLinkOwner {
 public:
  // The master was found, both connections to it are there, and it has confirmed all subscriptions.
  virtual void on_link_up(RedisLink& link) = 0;
  // Once per loss; at the beginning, when the first attempt has failed. `why` holds no password. `needs_help`: the link
  // goes on trying, slowly, but nothing will come of it before an operator has done something: password, rights,
  // database, certificate. That may turn out when the link is down already, and is told then by another call.
  virtual void on_link_down(RedisLink& link, const std::string& why, bool needs_help) = 0;
  // Redis has confirmed it while the link is up. What was confirmed before, on_link_up() tells of: all that was
  // subscribed to when the connections were there; what came later may follow here.
  virtual void on_subscribed(RedisLink& link, std::string_view channel) = 0;
  // Only of channels that are subscribed to, after on_subscribed() or on_link_up() has said so.
  virtual void on_message(RedisLink& link, std::string_view channel, std::span<const std::uint8_t> payload) = 0;

 protected:
  ~RedisLinkOwner() = default;
};

struct RedisLinkOptions {
  RedisUrl url;
  TlsClientOptions tls;                       // of rediss
  std::size_t max_queued_bytes = 1U << 20U;   // of commands that the kernel has not taken yet
  std::size_t max_reply_bytes = 64U << 20U;   // that one reply, or message, may take: see RedisReplyReader
  std::uint64_t connect_timeout_ms = 10'000;  // for a connection to be there, and to have said who it is
  std::uint64_t probe_ms = 25'000;            // between two probes, and for the answer to one
  std::uint64_t help_retry_ms = 60'000;       // between two attempts while it needs help
  RetryOptions retry = {0.5, 2, 30, 30, 0};   // between any other two
};

// What keeps two connections to a Redis master, or to the one that has taken its place: for commands, and for
// subscriptions, which take no other commands (RESP2). It connects for ever.
class RedisLink final : public RedisCommands, private RedisConnectionOwner, private RedisSentinelsOwner, private Timer {
 public:
  // Throws std::bad_alloc.
  RedisLink(const DialServices& services, const RedisLinkOptions& options, RedisLinkOwner& owner);
  // Closes at once, and calls nobody, nor an OnReply that waits.
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  // Once. May call the owner.
  void start();
  // Sends what is queued as far as the kernel takes it at once, and closes. Calls nobody. It is of no use any more.
  void finish();
  // In a forked process, whose loop was abandoned: gives the sockets up without a word to anybody. Likewise.
  void abandon();

  bool is_up() const { return state_ == State::kUp; }
  // Of the master that it is connected to, or was last: master_replid of INFO replication; "": it never was.
  std::string_view replication_id() const { return replication_id_; }

  // Remembered until unsubscribe(), across losses. Redis is told before the loop waits again, of many by one command.
  // What is subscribed to already stays so, without another on_subscribed(). Throws std::bad_alloc, having done
  // nothing.
  void subscribe(std::string_view channel);
  // Likewise. From now on no message of it is delivered. Throws nothing.
  void unsubscribe(std::string_view channel);
  // While it is up: Redis has confirmed it.
  bool is_subscribed(std::string_view channel) const;
  // While it is up. A command that is refused for a reason that the next one has, too (-READONLY, -NOPERM, -MOVED, …),
  // gets its reply, and then the link is lost.
  bool send(std::span<const std::string_view> command, OnReply on_reply) override;

  struct Stats {
    bool is_up = false;
    std::size_t queued_bytes = 0;  // that the kernel has not taken
    std::uint64_t sent = 0;        // commands, by send()
    std::uint64_t received = 0;    // messages
    std::uint64_t dropped = 0;     // commands that send() has refused
    std::uint64_t reconnects = 0;  // how often it was up again
    double probe_ms = 0;           // round trip of the last probe
  };
  Stats stats() const;

 private:
  enum class State : std::uint8_t {
    kIdle,         // before start()
    kLooking,      // the sentinels are asked
    kConnecting,   // of both connections
    kSubscribing,  // both are there
    kUp,
    kWaiting,   // for the next attempt
    kFinished,  // for good
  };

  void attempt();
  void connect(const std::string& host, std::uint16_t port);
  void become_up();
  void tell_subscriptions();
  void on_message(std::string_view channel, std::string_view payload);
  void on_confirmed(bool is_subscribed, std::string_view channel);
  void send_probe();
  void on_role(const RedisReply& reply);
  void lose(RedisConnection& connection, const RedisReply& error);
  void lose(const RedisFailure& failure) noexcept;
  void tell_down(const RedisFailure& failure, double up_for_s);
  std::uint64_t retry_wait_ms(RedisFailure::Remedy remedy, double up_for_s);
  bool is_connected() const { return state_ == State::kSubscribing || state_ == State::kUp; }

  void on_timeout() override;
  void on_master_found(const std::string& host, std::uint16_t port) override { connect(host, port); }
  void on_master_not_found(RedisFailure failure) override { lose(failure); }
  void on_connection_ready(RedisConnection& connection) override;
  void on_unasked(RedisConnection& connection, const RedisReply& reply) override;
  void on_deferred(RedisConnection& connection) override;
  void on_connection_lost(RedisConnection& connection, RedisFailure failure) override;

  const DialServices services_;
  const RedisLinkOptions options_;
  RedisLinkOwner& owner_;
  State state_ = State::kIdle;
  RetryPolicy retry_;
  RedisSentinels sentinels_;
  RedisSubscriptions subscriptions_;
  RedisConnection::Pointer commands_;    // the connection for these
  RedisConnection::Pointer subscriber_;  // the connection for the subscriptions
  std::vector<std::string_view> command_;
  std::string replication_id_;
  Stats stats_;  // but for what is asked for each time
  double up_since_ms_ = 0;
  double probed_at_ms_ = 0;
  bool awaits_role_ = false;
  bool awaits_pong_ = false;
  bool had_second_chance_ = false;
  bool was_up_ = false;        // ever
  bool is_told_down_ = false;  // since it was up last
  std::size_t told_help_ = 0;  // the hash of what the owner was told to need help for; 0: nothing
};

}  // namespace websockets
