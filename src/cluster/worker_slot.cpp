// SPDX-License-Identifier: MIT
#include "cluster/worker_slot.h"

#include <algorithm>
#include <utility>

namespace websockets {

void WorkerSlot::on_forked(pid_t pid, std::uint64_t now_ms) {
  pid_ = pid;
  if (++generation_ == 1) down_since_ms_ = now_ms;
  ready_since_ms_ = kNever;
  watched_ms_ = now_ms;
  silent_ms_ = 0;
}

void WorkerSlot::on_ready(std::uint64_t now_ms) {
  is_ready_ = true;
  ready_since_ms_ = now_ms;
}

void WorkerSlot::on_ending(std::uint64_t now_ms) {
  if (std::exchange(is_ready_, false)) down_since_ms_ = now_ms;
}

void WorkerSlot::on_exit(std::uint64_t now_ms) {
  on_ending(now_ms);
  pid_ = 0;
  const bool was_stable = ready_since_ms_ != kNever && now_ms - ready_since_ms_ >= kStableMs;
  if (was_stable) pause_ms_ = kShortestPauseMs;
  restart_ms_ = now_ms + pause_ms_;
  pause_ms_ = std::min(2 * pause_ms_, kLongestPauseMs);
  ready_since_ms_ = kNever;
}

std::uint64_t WorkerSlot::watch(std::uint64_t beats, std::uint64_t now_ms, std::uint64_t most_ms) {
  const std::uint64_t passed_ms = now_ms - std::exchange(watched_ms_, now_ms);
  silent_ms_ = std::exchange(beats_, beats) == beats ? silent_ms_ + std::min(passed_ms, most_ms) : 0;
  return silent_ms_;
}

}  // namespace websockets
