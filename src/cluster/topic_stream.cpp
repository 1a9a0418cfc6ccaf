// SPDX-License-Identifier: MIT
#include "cluster/topic_stream.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "cluster/delivery_budget.h"
#include "server/hub.h"
#include "server/receiver.h"

namespace websockets {

TopicStream::TopicStream(std::string_view topic, Hub& hub, std::size_t max_held_bytes, TopicStreamOwner& owner)
    : topic_(topic), hub_(hub), max_held_bytes_(max_held_bytes), owner_(owner) {}

// --- What happens ---

void TopicStream::on_subscribed(std::string_view replication, bool is_soon) {
  link_replication_ = replication;
  is_subscribed_ = true;
  is_known_ = false;
  was_cut_ = true;
  is_soon_ = is_soon;
}

void TopicStream::on_cut() {
  ++changes_;
  is_subscribed_ = false;
  is_known_ = false;
  is_reading_ = false;
  must_read_ = false;
  must_judge_ = false;
  run_.restart(0);
  live_.restart(0);
  live_epoch_.clear();
}

void TopicStream::on_live(std::string_view epoch, const HistoryMessage& message, bool may_deliver,
                          DeliveryBudget& budget) {
  if (!is_subscribed_) return;
  if (!is_known_ || epoch != epoch_) {
    if (is_known_) must_read_ = true;
    hold(epoch, message);
    return;
  }
  if (message.offset <= last_) return;
  const bool is_next = may_deliver && message.offset == last_ + 1 && source_of(last_) == nullptr;
  const bool is_needed = waiters_.first_group(0, message.offset) != nullptr;
  if (!is_next || is_needed) hold(epoch, message);
  if (!is_next) return;
  deliver_to_all(message, budget);
  // Those behind get two for each one that comes: so they catch up, however fast these are.
  if (is_needed && step(budget)) step(budget);
}

void TopicStream::hold(std::string_view epoch, const HistoryMessage& message) {
  if (epoch != live_epoch_) {
    const bool were_taken = live_epoch_.empty() || (live_epoch_ == epoch_ && live_.end() <= last_);
    if (!were_taken) {
      was_cut_ = true;
      is_soon_ = false;
    }
    live_.restart(message.offset - 1);
    live_epoch_ = epoch;
    live_read_ = reads_;
  } else if (message.offset <= live_.end()) {
    return;
  }
  if (message.offset != live_.end() + 1) live_.restart(message.offset - 1);
  live_.append(message);
  live_end_read_ = reads_;
  live_.shrink(max_held_bytes_);
}

bool TopicStream::begin(Receiver& receiver, std::optional<std::string_view> since, OnHistoryReady on_ready) {
  std::optional<HistoryPosition> position;
  if (since) position = HistoryPosition::parse(*since);
  HistoryWaiter* const waiter = waiters_.add(receiver);
  if (waiter == nullptr) return false;
  waiter->is_malformed = since && !position;
  waiter->since = std::move(position);
  waiter->first_read = reads_ + 1;
  waiter->on_ready = std::move(on_ready);
  return true;
}

// --- Reading ---

const HistoryRun* TopicStream::source_of(std::uint64_t offset) const {
  if (run_.covers(offset)) return &run_;
  return has_live() && live_.covers(offset) ? &live_ : nullptr;
}

bool TopicStream::lacks_messages() const { return has_live() && last_ < live_.end() && source_of(last_) == nullptr; }

std::optional<std::uint64_t> TopicStream::group_to_read() const {
  const HistoryWaiters::Groups::value_type* group = waiters_.first_group(next_group_, last_);
  if (group == nullptr) group = waiters_.first_group(0, last_);
  if (group == nullptr) return std::nullopt;
  return group->first;
}

bool TopicStream::needs_read() const {
  if (is_ended_ || !is_subscribed_ || is_reading_) return false;
  return !is_known_ || must_read_ || must_judge_ || lacks_messages() || group_to_read();
}

HistoryReadRequest TopicStream::next_read() {
  HistoryReadRequest request;
  request.epoch = epoch_;
  request.after = last_;
  request.last = last_;
  request.has_messages = has_position_;
  request.makes_epoch = epoch_.empty() && !waiters_.empty();
  if (is_known_ && !must_read_ && !lacks_messages()) {
    if (const std::optional<std::uint64_t> group = group_to_read()) {
      request.after = *group;
      next_group_ = *group + 1;
    }
  }
  request.number = ++reads_;
  is_reading_ = true;
  must_read_ = false;
  must_judge_ = false;
  return request;
}

bool TopicStream::on_not_read(const HistoryReadRequest& request) {
  if (request.number != reads_ || !is_reading_) return false;
  is_reading_ = false;
  must_read_ = true;
  return true;
}

bool TopicStream::on_read(const HistoryReadRequest& request, const HistoryRead& read) {
  if (request.number != reads_ || !is_reading_) return false;
  read_epoch_ = read.epoch;
  read_top_ = read.top;
  const bool is_gap = move_along(request, read);
  is_reading_ = false;
  reads_done_ = request.number;
  return is_gap;
}

bool TopicStream::move_along(const HistoryReadRequest& request, const HistoryRead& read) {
  const bool is_same_server = replication_ == link_replication_;
  const bool is_same = read.epoch == epoch_ && is_same_server && read.top >= request.last;
  bool is_gap = false;
  if (!has_position_) {
    begin_epoch(read, false);
    has_position_ = true;
  } else if (is_same) {
    is_gap = skip_trimmed(request, read);
    keep_messages(request, read);
  } else if (!is_known_ || was_cut_) {
    const bool is_whole = is_same_server && is_soon_ && read.first() == 1;
    // What is not there has been forgotten before the cut, as that would take longer: all have got it.
    const bool is_idle = is_whole && read.top == 0 && !epoch_.empty();
    if (!is_idle) {
      begin_epoch(read, is_whole);
      keep_messages(request, read);
      is_gap = !is_whole;
    }
  } else if (read.epoch == live_epoch_ || (epoch_.empty() && read.top == 0)) {
    // All of its messages have come, or can be read: more of them may have been published than are kept.
    const bool is_whole = read.first() == 1 || (read.epoch == live_epoch_ && live_.covers(0));
    begin_epoch(read, is_whole);
    keep_messages(request, read);
    is_gap = !is_whole;
  } else {
    // The history was forgotten, and its successor's messages are still to come by the subscription: only behind the
    // last ones of this one's that are on the way.
    first_ = last_ + 1;
    why_lost_ = read.top == 0 ? "expired" : "epoch";
    if (!live_epoch_.empty() && live_epoch_ != epoch_ && live_read_ < request.number) {
      live_epoch_.clear();
      was_cut_ = must_read_ = true;
      is_soon_ = false;
    }
    return false;
  }
  is_known_ = true;
  was_cut_ = false;
  drop_stale_live(request, read);
  return is_gap;
}

// All go on at the end of what was read, or at its beginning.
void TopicStream::begin_epoch(const HistoryRead& read, bool is_whole) {
  std::string epoch(read.epoch);
  std::string replication = link_replication_;
  while (!waiters_.groups().empty()) {
    const HistoryWaiters::Group& group = waiters_.groups().begin()->second;
    if (!group.behind.empty()) {
      waiters_.set_pending(*group.behind.first());
    } else {
      fail(*group.ready.first());
    }
  }
  ++changes_;
  epoch_ = std::move(epoch);
  replication_ = std::move(replication);
  last_ = is_whole ? 0 : read.top;
  first_ = 0;
  run_.restart(0);
}

// What is missing in front of the first one that was read was trimmed.
bool TopicStream::skip_trimmed(const HistoryReadRequest& request, const HistoryRead& read) {
  if (read.first() > request.after + 1 && read.first() > first_) {
    first_ = read.first();
    why_lost_ = "trimmed";
  }
  if (last_ + 1 >= first_ || source_of(last_) != nullptr) return false;
  last_ = std::max(last_, read.top);
  return true;
}

void TopicStream::keep_messages(const HistoryReadRequest& request, const HistoryRead& read) {
  if (!request.has_messages) return;
  const std::uint64_t after = read.epoch == request.epoch ? request.after : 0;
  HistoryRun run;
  run.restart(std::max(after, read.first() - 1));
  for (const HistoryMessage& message : read.messages) run.append(message);
  if (read.is_end) {
    run.extend(read.top);
  } else if (after != request.after || after == request.last) {
    must_read_ = true;  // the rest, that all are to get; a group's is asked for by the group
  }
  run_ = std::move(run);
}

// What came of another epoch is older than what was read, or newer: that depends on whether it had come before. What
// had come before, of this epoch, and is behind its newest message, is none of the history's: others may publish there.
void TopicStream::drop_stale_live(const HistoryReadRequest& request, const HistoryRead& read) {
  if (live_epoch_.empty()) return;
  if (live_epoch_ == epoch_) {
    if (read.epoch == epoch_ && live_end_read_ < request.number && read.top < live_.end()) live_.restart(last_);
    return;
  }
  if (live_read_ < request.number) {
    live_epoch_.clear();
  } else {
    must_read_ = true;
  }
}

// --- Work ---

bool TopicStream::step(DeliveryBudget& budget) {
  if (is_ended_ || !is_known_) return false;
  budget.spend(0);
  if (step_all(budget) || step_lost() || step_joining() || step_pending()) return true;
  if (step_group(run_, budget) || (has_live() && step_group(live_, budget))) return true;
  drop_used();
  return false;
}

void TopicStream::drop_used() {
  const HistoryWaiters::Groups& groups = waiters_.groups();
  if (has_live()) live_.drop_through(groups.empty() ? last_ : std::min(last_, groups.begin()->first));
  run_.restart(0);
}

bool TopicStream::step_all(DeliveryBudget& budget) {
  const HistoryRun* const source = source_of(last_);
  if (source == nullptr) return false;
  const std::shared_ptr<const HistoryRun::Message> next = source->next(last_);
  if (next == nullptr) {
    last_ = source->end();
  } else {
    deliver_to_all(next->get(), budget);
  }
  return true;
}

bool TopicStream::step_lost() {
  if (first_ == 0) return false;
  const HistoryWaiters::Groups::value_type* const group = waiters_.first_group(0, std::min(last_, first_ - 1));
  if (group == nullptr || source_of(group->first) != nullptr) return false;
  if (!group->second.behind.empty()) {
    tell_begins_here(*group->second.behind.first(), why_lost_);
  } else {
    fail(*group->second.ready.first());
  }
  return true;
}

bool TopicStream::step_joining() {
  const HistoryWaiters::Group* const group = waiters_.group_at(last_);
  if (group == nullptr) return false;
  if (!group->behind.empty()) {
    tell_recovered(*group->behind.first());
  } else {
    waiters_.release(last_);
  }
  return true;
}

bool TopicStream::step_group(const HistoryRun& run, DeliveryBudget& budget) {
  const HistoryWaiters::Groups::value_type* const group = waiters_.first_group(run.begin(), run.end());
  if (group == nullptr) return false;
  const std::uint64_t offset = group->first;
  if (!group->second.behind.empty()) {
    tell_recovered(*group->second.behind.first());
    return true;
  }
  const std::shared_ptr<const HistoryRun::Message> next = run.next(offset);
  if (next == nullptr) {
    waiters_.advance(offset, run.end());
  } else {
    deliver_to_group(offset, next->get(), budget);
  }
  return true;
}

bool TopicStream::step_pending() {
  HistoryWaiter* const waiter = waiters_.first_pending();
  return waiter != nullptr && judge(*waiter);
}

// Where it begins. What says that a position is none has to have been read after the receiver has come with it: another
// process may have been further than this one.
bool TopicStream::judge(HistoryWaiter& waiter) {
  const bool is_comparable = waiter.since && waiter.since->replication == replication_;
  const char* why = waiter.is_malformed ? "malformed" : waiter.since && !is_comparable ? "epoch" : nullptr;
  if (is_comparable) {
    const HistoryPosition& since = *waiter.since;
    if (since.epoch == epoch_ && since.offset <= last_) {
      waiters_.move_to(waiter, since.offset, State::kBehind);
      return true;
    }
    if (reads_done_ < waiter.first_read) {
      must_judge_ = true;
      return false;
    }
    if (since.epoch == read_epoch_ && since.offset <= read_top_) {
      if (since.epoch == epoch_) {
        waiters_.move_to(waiter, since.offset, State::kBehind);
        tell_recovered(waiter);
        return true;
      }
      // The first message of that epoch will come by the subscription.
      if (read_top_ > 0) return false;
      tell_begins_here(waiter, nullptr, true);
      return true;
    }
    why = since.epoch == read_epoch_ ? "beyond" : read_top_ == 0 ? "expired" : "epoch";
  }
  if (epoch_.empty()) {
    must_judge_ = true;
    return false;
  }
  tell_begins_here(waiter, why);
  return true;
}

void TopicStream::tell_recovered(HistoryWaiter& waiter) {
  const std::string text = waiter.since->text();
  waiters_.set_ready(waiter);
  const OnHistoryReady on_ready = std::move(waiter.on_ready);
  if (on_ready) on_ready(true, text, nullptr);
}

void TopicStream::tell_begins_here(HistoryWaiter& waiter, const char* why, bool is_recovered) {
  const std::string text = is_recovered ? waiter.since->text() : position(last_).text();
  const OnHistoryReady on_ready = std::move(waiter.on_ready);
  waiters_.erase(*waiter.receiver);
  if (on_ready) on_ready(is_recovered, text, why);
}

// --- Delivering ---

bool TopicStream::wrap(const HistoryMessage& message, Opcode& opcode, std::string& wrapped, std::string_view& data) {
  const std::uint64_t changes = changes_;
  opcode = message.opcode;
  data = message.data;
  if (owner_.wrap(topic_, opcode, message.data, position(message.offset).text(), wrapped)) data = wrapped;
  return changes == changes_ && !is_ended_;
}

void TopicStream::deliver_to_all(const HistoryMessage& message, DeliveryBudget& budget) {
  if (message.is_lost) {
    last_ = message.offset;
    owner_.on_history_gap(topic_);
    return;
  }
  Opcode opcode{};
  std::string wrapped;
  std::string_view data;
  if (!wrap(message, opcode, wrapped, data)) return;
  std::size_t receivers = 0;
  if (message.sender == 0 && waiters_.empty()) {
    receivers = hub_.deliver(topic_, opcode, as_bytes(data));
  } else {
    receivers = hub_.deliver(topic_, opcode, as_bytes(data), [this, &message](const Receiver& receiver) {
      return (message.sender != 0 && receiver.serial() == message.sender) || waiters_.contains(receiver);
    });
  }
  last_ = message.offset;
  budget.spend(data.size(), receivers);
}

void TopicStream::deliver_to_group(std::uint64_t offset, const HistoryMessage& message, DeliveryBudget& budget) {
  if (message.is_lost) {
    while (const HistoryWaiters::Group* const group = waiters_.group_at(offset)) fail(*group->ready.first());
    return;
  }
  Opcode opcode{};
  std::string wrapped;
  std::string_view data;
  if (!wrap(message, opcode, wrapped, data)) return;
  const HistoryWaiters::Group* const group = waiters_.group_at(offset);
  if (group == nullptr) return;
  receivers_.clear();
  for (HistoryWaiter* one = group->ready.first(); one != nullptr; one = HistoryWaiterList::next(*one)) {
    receivers_.push_back(one->receiver);
  }
  hub_.deliver(receivers_, opcode, as_bytes(data));
  waiters_.advance(offset, message.offset);
  budget.spend(data.size(), receivers_.size());
}

void TopicStream::fail(HistoryWaiter& waiter) {
  hub_.fail(*waiter.receiver);
  waiters_.fail(waiter);
}

}  // namespace websockets
