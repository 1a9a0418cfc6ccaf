// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "cluster/redis_commands.h"
#include "cluster/redis_names.h"
#include "cluster/redis_script.h"
#include "net/timer_wheel.h"
#include "server/topics.h"

namespace websockets {

class Loop;

class TopicPresenceOwner {
 public:
  // 16 digits that no other process has; asked for only when the server was up.
  virtual const std::string& node() = 0;
  // How many subscribe to the topic in this process.
  virtual std::size_t subscriptions(std::string_view topic) = 0;
  // The server has refused what was to be written of the topic, and is given it again later. Throws nothing.
  virtual void on_presence_error(std::string_view topic, const std::string& why) = 0;

 protected:
  ~TopicPresenceOwner() = default;
};

// Who subscribes to the topics of one Redis server in all processes of a cluster, and how many. Each process, a node,
// writes to Redis what it has itself, in hashes of each topic, and a lease which it renews: what stands there of a node
// whose lease has run out is of one that has died, and is taken away by whoever asks. Changes are put together for a
// moment, so that a topic that comes and goes quickly costs little, and written until the server has confirmed them.
// Numbers are written for every topic, as whoever asks for one expects it to be there.
class TopicPresence {
 public:
  // What is given by reference outlives it. `max_reply_bytes`: that the names of a topic may take, as RedisReplyReader
  // counts them. `lease_ms`: how long a node counts after it has died.
  TopicPresence(Loop& loop, RedisCommands& commands, const RedisNames& names, TopicPresenceOwner& owner,
                std::size_t max_reply_bytes, std::uint64_t lease_ms = 30'000);
  ~TopicPresence();
  TopicPresence(const TopicPresence&) = delete;
  TopicPresence& operator=(const TopicPresence&) = delete;

  // The server is there (again), and may have lost everything. Throws std::bad_alloc.
  void on_up();
  // The number of subscriptions of a topic has changed. Throws std::bad_alloc.
  void on_subscribed(std::string_view topic);
  // A subscription has ended: its name, too.
  void on_unsubscribed(const Subscriber& subscriber, std::string_view topic);
  // A subscription has this name from now on. Throws std::bad_alloc.
  void enter(const Subscriber& subscriber, std::string_view topic, std::string_view name);

  // `members`: each name once, in order; null: `why` there are none to be had: ENOTCONN, EIO: what Redis says, ENOMEM.
  // Called later, or at once. Both throw std::bad_alloc.
  using OnMembers = std::function<void(const std::vector<std::string>* members, const Error& why)>;
  void members(std::string_view topic, const OnMembers& on_members);
  using OnCount = std::function<void(const std::uint64_t* count, const Error& why)>;
  void count(std::string_view topic, const OnCount& on_count);

  // The node ends: takes back what it has written, as far as the server takes that now.
  void finish();
  // In a process that was forked: nothing is written any more.
  void abandon();

 private:
  class FlushTimer final : public Timer {
   public:
    explicit FlushTimer(TopicPresence& presence) : presence_(presence) {}
    void on_timeout() override { presence_.flush(); }

   private:
    TopicPresence& presence_;
  };
  class LeaseTimer final : public Timer {
   public:
    explicit LeaseTimer(TopicPresence& presence) : presence_(presence) {}
    void on_timeout() override { presence_.on_renewal(); }

   private:
    TopicPresence& presence_;
  };

  struct Member {
    std::size_t subscriptions = 0;
    bool is_dirty = false;
  };
  struct State {
    bool is_dirty = false;                  // it is in dirty_
    bool is_count_dirty = false;            // its number is to be written
    bool was_refused = false;               // something is to be written again, with the next renewal
    std::map<std::string, Member> members;  // by name
  };
  using States = std::map<std::string, State, std::less<>>;
  struct Subscription {
    const Subscriber* subscriber;
    States::value_type* topic;
    bool operator==(const Subscription&) const = default;
  };
  struct SubscriptionHash {
    std::size_t operator()(const Subscription& one) const noexcept;
  };

  States::value_type& state_of(std::string_view topic);
  void mark(States::value_type& topic);
  void mark_all_of(States::value_type& topic);
  void mark_all();
  void leave(const Subscriber& subscriber, States::value_type& topic);
  void flush();
  bool write(States::value_type& topic);
  bool write_count(States::value_type& topic);
  bool write_members(States::value_type& topic);
  bool set(std::string_view key, std::string_view field, std::size_t count, RedisCommands::OnReply on_reply);
  void keep(std::string_view key);
  RedisCommands::OnReply unless_written(std::string_view topic, std::optional<std::string_view> name);
  void on_not_written(std::string_view topic, const std::optional<std::string>& name, const RedisReply* reply);
  void write_asked(std::string_view topic);
  void renew(bool was_up);
  void on_renewal();
  void refresh_some();
  bool ask(std::string_view topic, RedisNames::Kind kind, std::string_view room, RedisCommands::OnReply on_reply);

  Loop& loop_;
  RedisCommands& commands_;
  const RedisNames& redis_names_;
  TopicPresenceOwner& owner_;
  RedisScript renewing_;
  RedisScript asking_;
  const std::string max_reply_bytes_;
  const std::string lease_ms_;
  const std::uint64_t renewal_ms_;
  States states_;                           // of topics that have something here, or in Redis
  std::vector<States::value_type*> dirty_;  // what of states_ is to be written
  std::unordered_map<Subscription, std::string, SubscriptionHash> names_;  // of subscriptions that have one
  std::optional<std::string> refreshed_;  // the topic whose numbers were refreshed last
  FlushTimer flush_timer_{*this};
  LeaseTimer lease_timer_{*this};
  std::shared_ptr<TopicPresence*> self_;  // for replies that come when there is none any more
  bool is_over_ = false;
};

}  // namespace websockets
