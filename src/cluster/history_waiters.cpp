// SPDX-License-Identifier: MIT
#include "cluster/history_waiters.h"

#include <utility>

namespace websockets {

HistoryWaiter* HistoryWaiters::add(Receiver& receiver) {
  const auto [found, is_new] = waiters_.try_emplace(&receiver);
  HistoryWaiter& waiter = found->second;
  if (waiter.state == HistoryWaiter::State::kFailed) return nullptr;
  if (!is_new) leave_list(waiter);
  waiter.receiver = &receiver;
  waiter.state = HistoryWaiter::State::kPending;
  pending_.push_back(waiter);
  return &waiter;
}

void HistoryWaiters::erase(const Receiver& receiver) {
  const auto found = waiters_.find(&receiver);
  if (found == waiters_.end()) return;
  leave_list(found->second);
  waiters_.erase(found);
}

void HistoryWaiters::leave_list(HistoryWaiter& waiter) {
  if (waiter.state == HistoryWaiter::State::kPending) {
    pending_.remove(waiter);
  } else if (waiter.state != HistoryWaiter::State::kFailed) {
    leave_group(waiter);
  }
}

void HistoryWaiters::move_to(HistoryWaiter& waiter, std::uint64_t offset, HistoryWaiter::State state) {
  Group& group = groups_[offset];
  pending_.remove(waiter);
  waiter.offset = offset;
  waiter.state = state;
  (state == HistoryWaiter::State::kReady ? group.ready : group.behind).push_back(waiter);
}

void HistoryWaiters::set_ready(HistoryWaiter& waiter) {
  Group& group = groups_.find(waiter.offset)->second;
  group.behind.remove(waiter);
  group.ready.push_back(waiter);
  waiter.state = HistoryWaiter::State::kReady;
}

void HistoryWaiters::leave_group(HistoryWaiter& waiter) {
  const auto at = groups_.find(waiter.offset);
  Group& group = at->second;
  (waiter.state == HistoryWaiter::State::kReady ? group.ready : group.behind).remove(waiter);
  if (group.ready.empty() && group.behind.empty()) groups_.erase(at);
}

void HistoryWaiters::fail(HistoryWaiter& waiter) {
  leave_group(waiter);
  waiter.state = HistoryWaiter::State::kFailed;
}

void HistoryWaiters::set_pending(HistoryWaiter& waiter) {
  leave_group(waiter);
  waiter.state = HistoryWaiter::State::kPending;
  pending_.push_back(waiter);
}

const HistoryWaiters::Group* HistoryWaiters::group_at(std::uint64_t offset) const {
  const auto at = groups_.find(offset);
  return at == groups_.end() ? nullptr : &at->second;
}

const HistoryWaiters::Groups::value_type* HistoryWaiters::first_group(std::uint64_t from, std::uint64_t to) const {
  const auto at = groups_.lower_bound(from);
  return at == groups_.end() || at->first >= to ? nullptr : &*at;
}

void HistoryWaiters::advance(std::uint64_t from, std::uint64_t to) {
  const auto at = groups_.find(from);
  if (at == groups_.end()) return;
  for (HistoryWaiter* one = at->second.ready.first(); one != nullptr; one = HistoryWaiterList::next(*one)) {
    one->offset = to;
  }
  const auto target = groups_.find(to);
  if (target == groups_.end()) {
    Groups::node_type node = groups_.extract(at);
    node.key() = to;
    groups_.insert(std::move(node));
    return;
  }
  while (!at->second.ready.empty()) target->second.ready.push_back(at->second.ready.pop_front());
  groups_.erase(at);
}

void HistoryWaiters::release(std::uint64_t offset) {
  const auto at = groups_.find(offset);
  if (at == groups_.end()) return;
  while (!at->second.ready.empty()) waiters_.erase(at->second.ready.pop_front().receiver);
  groups_.erase(at);
}

}  // namespace websockets
