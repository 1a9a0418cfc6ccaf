// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/intrusive.h"
#include "cluster/redis_commands.h"
#include "cluster/redis_script.h"
#include "cluster/topic_stream.h"
#include "websocket/frame.h"

namespace websockets {

class DeliveryBudget;
class Hub;
class Receiver;
struct ClusterMessage;

struct TopicHistoryOptions {
  std::size_t size = 100;                      // messages of each topic that are kept, at most
  std::uint64_t ttl_ms = 300'000;              // for which nothing was published: then a history is forgotten
  std::string origin;                          // this process, as ClusterMessage::origin
  std::size_t max_message_bytes = 16U << 20U;  // larger ones are not read
  std::size_t max_held_bytes = 1U << 20U;      // of each topic, that have come before those that are missing
};

class TopicHistoryOwner : public TopicStreamOwner {
 public:
  // Of a topic: the channel 'h', and the keys 's' of its messages and 'm' of the epoch and the offset. Throws
  // std::bad_alloc.
  virtual std::string history_name(char kind, std::string_view topic) const = 0;
  // What was published is in no history, or it cannot be read: why Redis does not do it. Likewise.
  virtual void on_history_error(std::string_view topic, const std::string& why) = 0;

 protected:
  ~TopicHistoryOwner() = default;
};

// The topics of one Redis server that have a history: everybody gets what is published by way of Redis, in one order,
// and who comes back gets what was missed, as long as Redis has it. The hub's receivers get each message once, without
// holes; when that cannot be, they or the owner are told.
//
// Live messages come by the one connection to Redis, what is read of the history by the other one: in which order is
// left to chance. So each topic has a TopicStream, which knows what was delivered last, and what comes next.
class TopicHistory final {
 public:
  // What is given outlives it. Of the calls all are made within a Loop::Round, and those that say so throw
  // std::bad_alloc; the others lose nothing by it: what could not be delivered is read again.
  TopicHistory(RedisCommands& commands, Hub& hub, TopicHistoryOptions options, TopicHistoryOwner& owner);
  ~TopicHistory();
  TopicHistory(const TopicHistory&) = delete;
  TopicHistory& operator=(const TopicHistory&) = delete;

  // To all subscribers everywhere but the one with this serial here; 0: to all. What was taken is published once, in
  // the order of the calls: when its reply was lost, it is sent again to a link that is up again; when the server takes
  // nothing now, as it has no memory left, say, by retry(), behind what the server may have taken meanwhile. False:
  // Redis cannot be reached, takes nothing, or too much waits for it. Throws std::bad_alloc; nothing was sent then.
  bool publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data, std::uint64_t sender);

  // --- Subscribers ---

  // The first one comes. The owner subscribes to the channel of the topic. Throws std::bad_alloc; there is no such
  // topic then.
  void on_topic(std::string_view topic);
  // A subscriber goes, whether it had begun or not.
  void on_unsubscribed(const Receiver& receiver, std::string_view topic, bool is_last);

  // It is subscribed to the topic. From now on it is left out of what is delivered live, until on_ready, which comes
  // later: it gets all messages behind `since`, and then what is live; or, when that cannot be or there is no `since`,
  // what comes behind the position that it is told. It may begin again, also before it is ready: then the `on_ready` of
  // before is forgotten. False: it is to be closed. Throws std::bad_alloc.
  bool begin(Receiver& receiver, std::string_view topic, std::optional<std::string_view> since,
             OnHistoryReady on_ready);

  // --- The link ---

  // Is up, with all its subscriptions. `replication_id`: of the master.
  void on_link_up(std::string_view replication_id);
  void on_link_down();
  // Redis has confirmed the subscription to the topic's channel.
  void on_subscribed(std::string_view topic);
  // What came by that channel.
  void on_message(std::string_view topic, const ClusterMessage& message);

  // --- Work ---

  // Whether deliver() has something to do: then the loop does not wait.
  bool has_more() const { return !is_delivering_ && !waiting_.empty(); }
  // A part of what there is to deliver. Does nothing within a callback of its own.
  void deliver();
  // Asks again what the link did not take, or Redis has refused. To be called from time to time while is_refused():
  // once a second is enough.
  void retry();
  bool is_refused() const { return !refused_.empty() || (is_up_ && has_lost_); }

 private:
  using StreamList = IntrusiveList<TopicStream, &TopicStream::link>;
  class Delivering;
  struct Publish {
    std::string topic;
    std::string header;
    std::string data;
    std::string name;
    bool is_lost = false;  // it was sent, but not done, or its reply does not come
  };

  std::shared_ptr<TopicStream> find(std::string_view topic) const;
  bool send(const std::shared_ptr<Publish>& publish, bool is_again);
  void on_published(Publish& publish, const RedisReply* reply);
  void send_lost();
  void put(TopicStream& stream, StreamList* list);
  void wake(TopicStream& stream) { put(stream, &waiting_); }
  void wake_first(StreamList& list);
  std::string next_epoch();

  void work(TopicStream& stream, DeliveryBudget& budget);
  void begin_read(TopicStream& stream);
  bool send_read(TopicStream& stream, const HistoryReadRequest& request);
  void on_reply(TopicStream& stream, const HistoryReadRequest& request, const RedisReply* reply);
  bool on_read(TopicStream& stream, const HistoryReadRequest& request, const RedisReply& reply);

  Hub& hub_;
  TopicHistoryOptions options_;
  TopicHistoryOwner& owner_;
  RedisScript publishing_;
  RedisScript reading_;
  std::shared_ptr<TopicHistory*> self_;  // for replies that come when there is none any more
  std::uint64_t last_epoch_;
  std::string replication_;
  bool is_up_ = false;
  std::deque<std::shared_ptr<Publish>> unanswered_;
  std::uint64_t published_ = 0;
  bool has_lost_ = false;  // of unanswered_, some; they go first
  std::uint64_t down_ms_;  // when it was up last
  bool is_delivering_ = false;
  std::size_t reads_ = 0;  // whose reply has not come
  std::map<std::string, std::shared_ptr<TopicStream>, std::less<>> streams_;
  StreamList waiting_;  // for deliver(),
  StreamList asking_;   // for other reads to be done,
  StreamList refused_;  // for retry()
};

}  // namespace websockets
