// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/intrusive.h"
#include "cluster/history_read.h"
#include "cluster/history_run.h"
#include "cluster/history_waiters.h"

namespace websockets {

class DeliveryBudget;
class Hub;
class Receiver;

class TopicStreamOwner {
 public:
  // What is sent in place of this data, and as what. False: the data itself. Once for each message that is delivered
  // live, and for each one of a recovery. May do anything but destroy the history. Throws std::bad_alloc only.
  virtual bool wrap(std::string_view topic, Opcode& opcode, std::string_view data, std::string_view position,
                    std::string& wrapped) = 0;
  // Messages of this topic were lost to its subscribers; it goes on behind them. May do anything but destroy the
  // history; throws nothing.
  virtual void on_history_gap(std::string_view topic) = 0;

 protected:
  ~TopicStreamOwner() = default;
};

// The messages of one topic with a history, on their way to its subscribers here: what all of them have got, which
// messages have come before those that are missing, who is still on the way to where all the others are. It knows no
// Redis: it says what it has to read, and is told what that was.
class TopicStream : public std::enable_shared_from_this<TopicStream> {
 public:
  // What is given outlives it. `max_held_bytes`: of messages that wait for missing ones.
  TopicStream(std::string_view topic, Hub& hub, std::size_t max_held_bytes, TopicStreamOwner& owner);
  TopicStream(const TopicStream&) = delete;
  TopicStream& operator=(const TopicStream&) = delete;

  const std::string& topic() const { return topic_; }
  // Nobody is subscribed any more: it does nothing from now on.
  void end() { is_ended_ = true; }
  bool is_ended() const { return is_ended_; }

  // --- What happens ---

  // Every message from now on comes to on_live(). `replication`: of the data that the server has. `is_soon`: what was
  // published since on_cut() cannot have been forgotten yet. Throws std::bad_alloc, and may be called again.
  void on_subscribed(std::string_view replication, bool is_soon);
  // None does any more.
  void on_cut();
  // In the order of the connection. `may_deliver`: else it is kept for step(). Throws std::bad_alloc; then on_lost() is
  // to be called.
  void on_live(std::string_view epoch, const HistoryMessage& message, bool may_deliver, DeliveryBudget& budget);
  // A message was not taken: it is read again.
  void on_lost() { must_read_ = true; }

  // As TopicHistory's.
  bool begin(Receiver& receiver, std::optional<std::string_view> since, OnHistoryReady on_ready);
  void forget(const Receiver& receiver) { waiters_.erase(receiver); }

  // --- Reading ---

  // Once step() has nothing to do.
  bool needs_read() const;
  // Throws std::bad_alloc. It is sent; or on_not_read() is called.
  HistoryReadRequest next_read();
  // True: messages were lost. Throws std::bad_alloc; on_not_read() is to be called then.
  bool on_read(const HistoryReadRequest& request, const HistoryRead& read);
  // Nothing was read. False: nobody has waited for it any more.
  bool on_not_read(const HistoryReadRequest& request);

  // --- Work ---

  // Whether nobody waits for anything: neither step() nor needs_read() has to be asked.
  bool is_idle() const { return waiters_.empty() && !needs_read() && is_known_ && source_of(last_) == nullptr; }
  // Delivers one message, or tells one receiver. False: there is nothing to do. Throws std::bad_alloc; it may be called
  // again.
  bool step(DeliveryBudget& budget);

  // For the owner: the list that it is in.
  ListLink<TopicStream> link;
  IntrusiveList<TopicStream, &TopicStream::link>* list = nullptr;

 private:
  using State = HistoryWaiter::State;

  bool has_live() const { return live_epoch_ == epoch_ && !epoch_.empty(); }
  // The messages from which what comes behind this offset is taken; nullptr: it has to be read.
  const HistoryRun* source_of(std::uint64_t offset) const;
  bool lacks_messages() const;
  std::optional<std::uint64_t> group_to_read() const;
  void hold(std::string_view epoch, const HistoryMessage& message);
  void drop_used();

  bool step_all(DeliveryBudget& budget);
  bool step_lost();
  bool step_joining();
  bool step_pending();
  bool step_group(const HistoryRun& run, DeliveryBudget& budget);
  bool judge(HistoryWaiter& waiter);

  // Whether nothing has changed meanwhile; `data` is then what to send.
  bool wrap(const HistoryMessage& message, Opcode& opcode, std::string& wrapped, std::string_view& data);
  void deliver_to_all(const HistoryMessage& message, DeliveryBudget& budget);
  void deliver_to_group(std::uint64_t offset, const HistoryMessage& message, DeliveryBudget& budget);
  void fail(HistoryWaiter& waiter);

  bool move_along(const HistoryReadRequest& request, const HistoryRead& read);
  void begin_epoch(const HistoryRead& read, bool is_whole);
  bool skip_trimmed(const HistoryReadRequest& request, const HistoryRead& read);
  void keep_messages(const HistoryReadRequest& request, const HistoryRead& read);
  void drop_stale_live(const HistoryReadRequest& request, const HistoryRead& read);

  HistoryPosition position(std::uint64_t offset) const { return {epoch_, replication_, offset}; }
  void tell_recovered(HistoryWaiter& waiter);
  void tell_begins_here(HistoryWaiter& waiter, const char* why, bool is_recovered = false);

  std::string topic_;
  Hub& hub_;
  std::size_t max_held_bytes_;
  TopicStreamOwner& owner_;
  bool is_ended_ = false;

  bool is_subscribed_ = false;  // messages come
  bool is_known_ = false;       // since then it was read where the history is
  bool was_cut_ = false;        // messages may have been missed that no offset tells of,
  bool is_soon_ = false;        // but not if the history has begun since with the first one
  bool has_position_ = false;   // epoch_ and last_ mean something
  std::string link_replication_;
  std::string epoch_;  // empty: there was no history
  std::string replication_;
  std::uint64_t last_ = 0;     // all have got up to there, but those that wait
  std::uint64_t changes_ = 0;  // how often all that was changed

  HistoryRun live_;  // the newest ones that came by the subscription, of live_epoch_
  std::string live_epoch_;
  std::uint64_t live_read_ = 0;      // the last read that was begun before the first of that epoch came
  std::uint64_t live_end_read_ = 0;  // likewise, before the newest one came
  HistoryRun run_;                   // what was read, of epoch_

  bool is_reading_ = false;
  bool must_read_ = false;   // behind last_
  bool must_judge_ = false;  // anything: somebody waits for what it says
  std::uint64_t reads_ = 0;  // the number of the last one that was begun
  std::uint64_t reads_done_ = 0;
  std::string read_epoch_;  // what the last one has said
  std::uint64_t read_top_ = 0;
  std::uint64_t next_group_ = 0;  // reads are for one group after the other
  std::uint64_t first_ = 0;       // older messages than that of epoch_ there are not, as far as is known
  const char* why_lost_ = "trimmed";

  HistoryWaiters waiters_;
  std::vector<Receiver*> receivers_;  // scratch
};

}  // namespace websockets
