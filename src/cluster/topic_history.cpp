// SPDX-License-Identifier: MIT
#include "cluster/topic_history.h"

#include <openssl/rand.h>

#include <array>
#include <new>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "cluster/cluster_message.h"
#include "cluster/delivery_budget.h"
#include "cluster/history_script.h"
#include "cluster/redis_failure.h"
#include "server/receiver.h"

namespace websockets {
namespace {

constexpr std::size_t kMostReads = 32;  // at one time: a link that comes up again has to serve all topics
constexpr std::size_t kReplicationDigits = 8;
constexpr std::uint64_t kClockErrorMs = 1000;  // of what Redis' clock, and the way to it, may differ in a ttl

std::uint64_t random_number() {
  std::uint64_t number = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&number), sizeof number);
  return number;
}

}  // namespace

// While it exists, callbacks are on the stack, which must not lead to others.
class TopicHistory::Delivering {
 public:
  explicit Delivering(TopicHistory& history) : history_(history) { history_.is_delivering_ = true; }
  ~Delivering() { history_.is_delivering_ = false; }
  Delivering(const Delivering&) = delete;
  Delivering& operator=(const Delivering&) = delete;

 private:
  TopicHistory& history_;
};

TopicHistory::TopicHistory(RedisCommands& commands, Hub& hub, TopicHistoryOptions options, TopicHistoryOwner& owner)
    : hub_(hub),
      options_(std::move(options)),
      owner_(owner),
      publishing_(commands, kHistoryPublishScript),
      reading_(commands, kHistoryReadScript),
      self_(std::make_shared<TopicHistory*>(this)),
      last_epoch_(random_number()),
      down_ms_(monotonic_ms()) {}

TopicHistory::~TopicHistory() { *self_ = nullptr; }

// Each one is used once at most, so that a history that was forgotten is never taken for its successor.
std::string TopicHistory::next_epoch() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::uint64_t number = ++last_epoch_;
  std::string digits(16, '0');
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, number >>= 4U) *digit = kDigits[number & 15U];
  return digits;
}

bool TopicHistory::publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data,
                           std::uint64_t sender) {
  if (!is_up_ || has_lost_) return false;
  ClusterMessage message;
  message.opcode = opcode;
  message.origin = options_.origin;
  message.sender = sender;
  const auto publish =
      std::make_shared<Publish>(Publish{std::string(topic), message.header(), std::string(as_text(data)),
                                        options_.origin + ':' + std::to_string(++published_)});
  unanswered_.push_back(publish);
  try {
    if (send(publish, false)) return true;
  } catch (...) {
    unanswered_.pop_back();
    throw;
  }
  unanswered_.pop_back();
  return false;
}

bool TopicHistory::send(const std::shared_ptr<Publish>& publish, bool is_again) {
  const std::string& topic = publish->topic;
  const std::string stream = owner_.history_name('s', topic);
  const std::string meta = owner_.history_name('m', topic);
  const std::string channel = owner_.history_name('h', topic);
  const std::string epoch = next_epoch();
  const std::string size = std::to_string(options_.size);
  const std::string ttl = std::to_string(options_.ttl_ms);
  const std::array<std::string_view, 2> keys{stream, meta};
  const std::array<std::string_view, 8> arguments{epoch,           size,          ttl,           channel,
                                                  publish->header, publish->data, publish->name, is_again ? "1" : ""};
  return publishing_.run(keys, arguments, [self = self_, publish](const RedisReply* reply) {
    if (*self != nullptr) (*self)->on_published(*publish, reply);
  });
}

void TopicHistory::on_published(Publish& publish, const RedisReply* reply) {
  if (reply == nullptr || (reply->is_error() && takes_nothing_now(reply->text))) {
    publish.is_lost = has_lost_ = true;
    // What the link is lost with is told by the link.
    if (reply != nullptr && !remedy_for(reply->text)) owner_.on_history_error(publish.topic, reply->text);
    return;
  }
  if (reply->is_error()) owner_.on_history_error(publish.topic, reply->text);
  // Replies come in the order of what was sent: only what is to be sent again may be before it.
  if (unanswered_.front().get() == &publish) {
    unanswered_.pop_front();
  } else {
    std::erase_if(unanswered_, [&](const std::shared_ptr<Publish>& one) { return one.get() == &publish; });
  }
  if (has_lost_) send_lost();
}

// What the link does not take now follows with a reply, or with retry().
void TopicHistory::send_lost() {
  for (const std::shared_ptr<Publish>& publish : unanswered_) {
    if (!publish->is_lost) continue;
    publish->is_lost = false;
    bool was_sent = false;
    try {
      was_sent = is_up_ && send(publish, true);
    } catch (const std::bad_alloc&) {
    }
    if (was_sent) continue;
    publish->is_lost = true;
    return;
  }
  has_lost_ = false;
}

// --- Subscribers ---

std::shared_ptr<TopicStream> TopicHistory::find(std::string_view topic) const {
  const auto found = streams_.find(topic);
  return found == streams_.end() ? nullptr : found->second;
}

void TopicHistory::on_topic(std::string_view topic) {
  auto stream = std::make_shared<TopicStream>(topic, hub_, options_.max_held_bytes, owner_);
  streams_.emplace(topic, std::move(stream));
}

void TopicHistory::on_unsubscribed(const Receiver& receiver, std::string_view topic, bool is_last) {
  const auto found = streams_.find(topic);
  if (found == streams_.end()) return;
  TopicStream& stream = *found->second;
  stream.forget(receiver);
  if (!is_last) return;
  stream.end();
  put(stream, nullptr);
  streams_.erase(found);
}

bool TopicHistory::begin(Receiver& receiver, std::string_view topic, std::optional<std::string_view> since,
                         OnHistoryReady on_ready) {
  const std::shared_ptr<TopicStream> stream = find(topic);
  if (stream == nullptr || !stream->begin(receiver, since, std::move(on_ready))) return false;
  wake(*stream);
  return true;
}

// --- The link ---

void TopicHistory::on_link_up(std::string_view replication_id) {
  is_up_ = true;
  replication_ = replication_id.empty() ? "0" : replication_id.substr(0, kReplicationDigits);
  const bool is_soon = monotonic_ms() - down_ms_ + kClockErrorMs < options_.ttl_ms;
  for (const auto& [topic, stream] : streams_) {
    stream->on_subscribed(replication_, is_soon);
    wake(*stream);
  }
  if (has_lost_) send_lost();
}

void TopicHistory::on_link_down() {
  if (is_up_) down_ms_ = monotonic_ms();
  is_up_ = false;
  for (const auto& [topic, stream] : streams_) stream->on_cut();
}

void TopicHistory::on_subscribed(std::string_view topic) {
  const std::shared_ptr<TopicStream> stream = find(topic);
  if (!is_up_ || stream == nullptr) return;
  stream->on_subscribed(replication_, true);
  wake(*stream);
}

void TopicHistory::on_message(std::string_view topic, const ClusterMessage& message) {
  const std::shared_ptr<TopicStream> stream = find(topic);
  if (stream == nullptr || message.epoch.empty() || message.offset == 0) return;
  const std::uint64_t sender = message.origin == options_.origin ? message.sender : 0;
  const HistoryMessage live{message.offset, false, message.opcode, sender, as_text(message.data)};
  DeliveryBudget budget;
  try {
    if (is_delivering_) {
      stream->on_live(message.epoch, live, false, budget);
    } else {
      const Delivering delivering(*this);
      stream->on_live(message.epoch, live, true, budget);
    }
  } catch (const std::bad_alloc&) {
    stream->on_lost();
  }
  if (stream->is_idle()) return;
  wake(*stream);
}

// --- Work ---

void TopicHistory::put(TopicStream& stream, StreamList* list) {
  if (stream.list == list) return;
  if (stream.list != nullptr) stream.list->remove(stream);
  stream.list = stream.is_ended() ? nullptr : list;
  if (stream.list != nullptr) stream.list->push_back(stream);
}

void TopicHistory::wake_first(StreamList& list) {
  if (!list.empty()) wake(*list.first());
}

void TopicHistory::retry() {
  while (!refused_.empty()) wake_first(refused_);
  if (has_lost_) send_lost();
}

void TopicHistory::deliver() {
  if (is_delivering_) return;
  const Delivering delivering(*this);
  DeliveryBudget budget;
  while (!waiting_.empty() && !budget.is_spent()) {
    const std::shared_ptr<TopicStream> stream = waiting_.first()->shared_from_this();
    put(*stream, nullptr);
    try {
      work(*stream, budget);
    } catch (const std::bad_alloc&) {
      wake(*stream);
      return;
    }
  }
}

void TopicHistory::work(TopicStream& stream, DeliveryBudget& budget) {
  budget.spend(0);
  while (!budget.is_spent()) {
    if (stream.step(budget)) continue;
    if (stream.needs_read()) begin_read(stream);
    return;
  }
  wake(stream);
}

// --- Reading ---

void TopicHistory::begin_read(TopicStream& stream) {
  if (reads_ >= kMostReads) {
    put(stream, &asking_);
    return;
  }
  const HistoryReadRequest request = stream.next_read();
  bool is_sent = false;
  try {
    is_sent = send_read(stream, request);
  } catch (const std::bad_alloc&) {
    stream.on_not_read(request);
    throw;
  }
  if (is_sent) {
    ++reads_;
  } else {
    stream.on_not_read(request);
    put(stream, &refused_);
  }
}

bool TopicHistory::send_read(TopicStream& stream, const HistoryReadRequest& request) {
  const std::string messages = owner_.history_name('s', stream.topic());
  const std::string meta = owner_.history_name('m', stream.topic());
  const std::string after = std::to_string(request.after);
  const std::string most = std::to_string(request.has_messages ? DeliveryBudget::kMessages : 0);
  const std::string most_bytes = std::to_string(DeliveryBudget::kBytes);
  const std::string most_of_one = std::to_string(options_.max_message_bytes);
  const std::string epoch = request.makes_epoch ? next_epoch() : std::string();
  const std::string ttl = std::to_string(options_.ttl_ms);
  const std::array<std::string_view, 2> keys{messages, meta};
  const std::array<std::string_view, 7> arguments{request.epoch, after, most, most_bytes, most_of_one, epoch, ttl};
  std::weak_ptr<TopicStream> asker = stream.weak_from_this();
  return reading_.run(keys, arguments, [self = self_, asker = std::move(asker), request](const RedisReply* reply) {
    if (*self == nullptr) return;
    TopicHistory& history = **self;
    --history.reads_;
    if (const std::shared_ptr<TopicStream> stream = asker.lock()) history.on_reply(*stream, request, reply);
    if (*self != nullptr) history.wake_first(history.asking_);
  });
}

void TopicHistory::on_reply(TopicStream& stream, const HistoryReadRequest& request, const RedisReply* reply) {
  if (stream.is_ended()) return;
  if (reply == nullptr || reply->is_error()) {
    if (stream.on_not_read(request)) put(stream, &refused_);
    if (reply != nullptr) owner_.on_history_error(stream.topic(), reply->text);
    return;
  }
  try {
    if (!on_read(stream, request, *reply)) return;
  } catch (const std::bad_alloc&) {
    stream.on_not_read(request);
  }
  wake(stream);
}

// False: what stands there is no history. Others may write to its keys.
bool TopicHistory::on_read(TopicStream& stream, const HistoryReadRequest& request, const RedisReply& reply) {
  // Within a callback it is not the time: it is read again.
  if (is_delivering_) {
    stream.on_not_read(request);
    return true;
  }
  const std::optional<HistoryRead> read = HistoryRead::parse(reply, options_.origin);
  if (!read) {
    if (stream.on_not_read(request)) put(stream, &refused_);
    owner_.on_history_error(stream.topic(), "it is none of ours");
    return false;
  }
  if (stream.on_read(request, *read)) owner_.on_history_gap(stream.topic());
  return true;
}

}  // namespace websockets
