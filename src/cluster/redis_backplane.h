// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/cluster_options.h"
#include "cluster/cluster_stats.h"
#include "cluster/redis_link.h"
#include "cluster/redis_names.h"
#include "cluster/topic_history.h"
#include "cluster/topic_presence.h"
#include "net/timer_wheel.h"
#include "server/backplane.h"

namespace websockets {

struct ClusterMessage;
class Hub;
class Loop;

enum class ClusterEvent : std::uint8_t {
  kUp,    // a server is reached
  kDown,  // it is not, or no longer
  kGap,   // something that others have sent was lost here, or may have been
};

class RedisBackplaneOwner {
 public:
  // Both within a round; may do anything but destroy the backplane. `why` names the server, and no password.
  virtual void on_cluster(ClusterEvent event, std::string_view why) = 0;
  // Somebody has to do something for it to work. Once for each such state.
  virtual void on_cluster_report(std::string_view text) = 0;
  // See TopicStreamOwner.
  virtual bool wrap(std::string_view topic, Opcode& opcode, std::string_view data, std::string_view position,
                    std::string& wrapped) = 0;

 protected:
  ~RedisBackplaneOwner() = default;
};

// Carries what a hub sends to those of other machines, by the channels of one or several Redis servers, and delivers
// here what they send. One sender's order is kept, and nothing comes twice, or back to this machine. Of topics that it
// has no subscriber to it hears nothing. Those with a history come to everybody by way of Redis.
class RedisBackplane final : public ClusterBackplane,
                             private RedisLinkOwner,
                             private TopicPresenceOwner,
                             private TopicHistoryOwner {
 public:
  // What is given outlives it. While the hub has no topics.
  RedisBackplane(const DialServices& services, const ClusterOptions& options, std::size_t max_message_bytes, Hub& hub,
                 RedisBackplaneOwner& owner);
  ~RedisBackplane();
  RedisBackplane(const RedisBackplane&) = delete;
  RedisBackplane& operator=(const RedisBackplane&) = delete;

  // Connects, for ever. Once. Throws std::bad_alloc.
  void start();
  // Sends what waits, as far as it is taken at once, and ends. Calls nobody.
  void finish();
  // In a process that was forked: gives up what is the other's.
  void abandon();

  // Of the server that has this topic.
  TopicPresence& presence(std::string_view topic) { return *shard_of(topic).presence; }
  // Whether the topic has a history.
  bool has_history(std::string_view topic) const;
  // See TopicHistory::begin(), for a subscriber of a topic that has one. Throws std::bad_alloc.
  void recover(Receiver& receiver, std::string_view topic, std::optional<std::string_view> since,
               OnHistoryReady on_ready);
  // What there is to deliver of histories: a part of it in each round.
  bool has_work() const;
  void do_work();
  // The server of a topic, for messages.
  const std::string& place_of(std::string_view topic) const { return shard_of(topic).place; }
  // Of each server. Throws std::bad_alloc.
  std::vector<ClusterServerStats> stats() const;

  DeliveryStatus broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) override;
  DeliveryStatus publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                         const Receiver* except) override;
  void on_subscribed(Subscriber& subscriber, std::string_view name, bool is_first) override;
  void on_unsubscribed(Subscriber& subscriber, std::string_view name, bool is_last) override;

 private:
  // One of the servers.
  struct Shard {
    RedisNames names;
    std::string place;  // of the server, for messages
    std::unique_ptr<RedisLink> link = nullptr;
    std::unique_ptr<TopicPresence> presence = nullptr;
    std::unique_ptr<TopicHistory> history = nullptr;  // null: nobody has asked for it
    bool was_up = false;
    std::uint64_t gaps = 0;
  };

  class RetryTimer final : public Timer {
   public:
    explicit RetryTimer(RedisBackplane& backplane) : backplane_(backplane) {}
    void on_timeout() override { backplane_.retry(); }

   private:
    RedisBackplane& backplane_;
  };

  const Shard& shard_of(std::string_view name) const;
  Shard& shard_of(std::string_view name) { return const_cast<Shard&>(std::as_const(*this).shard_of(name)); }
  Shard& shard_of(const RedisLink& link);
  DeliveryStatus send(RedisNames::Kind kind, std::string_view name, Opcode opcode, std::span<const std::uint8_t> data);
  void deliver(const RedisNames::Parsed& channel, const ClusterMessage& message);

  const std::string& node() override;
  std::size_t subscriptions(std::string_view topic) override;
  void on_presence_error(std::string_view topic, const std::string& why) override;

  TopicHistory& history_of(Shard& shard);
  bool is_refused() const;
  void retry();
  std::string history_name(char kind, std::string_view topic) const override;
  bool wrap(std::string_view topic, Opcode& opcode, std::string_view data, std::string_view position,
            std::string& wrapped) override {
    return owner_.wrap(topic, opcode, data, position, wrapped);
  }
  void on_history_gap(std::string_view topic) override;
  void on_history_error(std::string_view topic, const std::string& why) override;

  // What a server refuses: once a minute, as it may be so with each message. `told_ms`: when it was told last.
  // The parts of `text` in a row.
  void tell_refused(std::uint64_t& told_ms, std::initializer_list<std::string_view> text);
  void tell_gap(Shard& shard, std::string_view why);

  void on_link_up(RedisLink& link) override;
  void on_link_down(RedisLink& link, const std::string& why, bool needs_help) override;
  void on_subscribed(RedisLink& link, std::string_view channel) override;
  void on_message(RedisLink& link, std::string_view channel, std::span<const std::uint8_t> payload) override;

  Loop& loop_;
  Hub& hub_;
  RedisBackplaneOwner& owner_;
  HistoryOptions history_options_;
  std::size_t max_message_bytes_;
  std::string machine_;  // what this one's own messages are known by
  std::string process_;  // this one, among those of all machines; made late, as it may be forked before that
  std::vector<Shard> shards_;
  RetryTimer retry_timer_{*this};
  std::uint64_t told_messages_ms_ = 0;
  std::uint64_t told_histories_ms_ = 0;
  std::uint64_t told_presence_ms_ = 0;
};

}  // namespace websockets
