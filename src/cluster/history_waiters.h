// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/intrusive.h"
#include "cluster/history_position.h"

namespace websockets {

class Receiver;

// Called once, before the first message. `recovered`: what was missed comes first. `position`: where it begins. `why`:
// nullptr, or why what was missed cannot be had: "trimmed", "expired", "epoch", "beyond" or "malformed". May do
// anything, but destroy the history.
using OnHistoryReady = std::function<void(bool recovered, const std::string& position, const char* why)>;

// A subscriber that is not at the place yet where all the others are.
struct HistoryWaiter {
  enum class State : std::uint8_t {
    kPending,  // where it begins is not known
    kBehind,   // at its offset, of which it has not been told
    kReady,    // at its offset
    kFailed,   // it is to be closed
  };

  Receiver* receiver = nullptr;
  State state = State::kPending;
  bool is_malformed = false;
  std::optional<HistoryPosition> since;
  std::uint64_t first_read = 0;  // the number of the first one that was begun after it has come
  std::uint64_t offset = 0;      // of the last message that it has got
  OnHistoryReady on_ready;
  ListLink<HistoryWaiter> link;  // in a list of its state, of its offset
};

using HistoryWaiterList = IntrusiveList<HistoryWaiter, &HistoryWaiter::link>;

// Those of a topic. A group is those that have the same offset: they need the same messages. A receiver is known by its
// place in memory, so it has to be erased before it is freed.
class HistoryWaiters {
 public:
  struct Group {
    HistoryWaiterList behind;
    HistoryWaiterList ready;
  };
  using Groups = std::map<std::uint64_t, Group>;

  HistoryWaiters() = default;
  HistoryWaiters(const HistoryWaiters&) = delete;
  HistoryWaiters& operator=(const HistoryWaiters&) = delete;

  bool empty() const { return waiters_.empty(); }
  bool contains(const Receiver& receiver) const { return waiters_.contains(&receiver); }

  // Pending, behind all others that are, wherever it was before. nullptr: it has failed. Throws std::bad_alloc, and has
  // not changed then.
  HistoryWaiter* add(Receiver& receiver);
  // Of any state; or none.
  void erase(const Receiver& receiver);

  HistoryWaiter* first_pending() const { return pending_.first(); }
  // From pending to a group. Throws std::bad_alloc, and has not changed then.
  void move_to(HistoryWaiter& waiter, std::uint64_t offset, HistoryWaiter::State state);
  // In its group.
  void set_ready(HistoryWaiter& waiter);
  // From its group; it is left out for ever.
  void fail(HistoryWaiter& waiter);
  // Back from its group, behind all that are pending.
  void set_pending(HistoryWaiter& waiter);

  const Groups& groups() const { return groups_; }
  // Of those with this offset; nullptr: there are none.
  const Group* group_at(std::uint64_t offset) const;
  // The first one that has not got the message behind `from`, or a later one, but before `to`.
  const Groups::value_type* first_group(std::uint64_t from, std::uint64_t to) const;
  // All of that group have got all up to `to`. Those who are not ready are not there.
  void advance(std::uint64_t from, std::uint64_t to);
  // All of that group are where the others are: they wait no more.
  void release(std::uint64_t offset);

 private:
  using Waiters = std::unordered_map<const Receiver*, HistoryWaiter>;

  void leave_list(HistoryWaiter& waiter);
  void leave_group(HistoryWaiter& waiter);

  Waiters waiters_;
  HistoryWaiterList pending_;
  Groups groups_;
};

}  // namespace websockets
