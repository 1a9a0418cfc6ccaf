// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace websockets {

// The place of a worker in a pool, as its supervisor sees it: when a worker is to be started, whether it hangs, and
// whether somebody else has to serve its listeners. Times are those of monotonic_ms(); it looks at no clock.
class WorkerSlot {
 public:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  // --- What happens ---

  void on_forked(pid_t pid, std::uint64_t now_ms);
  // It accepts.
  void on_ready(std::uint64_t now_ms);
  // It accepts no more.
  void on_ending(std::uint64_t now_ms);
  // It is gone, or could not be made.
  void on_exit(std::uint64_t now_ms);

  // --- What there is ---

  pid_t pid() const { return pid_; }  // 0: none
  bool is_ready() const { return is_ready_; }
  // How many workers it had.
  unsigned generation() const { return generation_; }
  // When the next one is to be forked; kNever: there is one.
  std::uint64_t restart_ms() const { return pid_ == 0 ? restart_ms_ : kNever; }
  // From when on another worker has to serve its listeners; kNever: it does so itself.
  std::uint64_t neighbour_ms() const { return is_ready_ ? kNever : down_since_ms_ + kDownMs; }

  // Looks at what changes while the worker's loop turns. Returns for how long it has not changed; time in which nobody
  // looked, as the supervisor was stopped itself, counts as `most_ms`.
  std::uint64_t watch(std::uint64_t beats, std::uint64_t now_ms, std::uint64_t most_ms);

 private:
  static constexpr std::uint64_t kShortestPauseMs = 100;
  static constexpr std::uint64_t kLongestPauseMs = 10'000;
  static constexpr std::uint64_t kStableMs = 10'000;  // who was ready for so long is restarted as soon as the first
  static constexpr std::uint64_t kDownMs = 1'000;

  pid_t pid_ = 0;
  bool is_ready_ = false;
  unsigned generation_ = 0;
  std::uint64_t restart_ms_ = 0;
  std::uint64_t pause_ms_ = kShortestPauseMs;
  std::uint64_t ready_since_ms_ = kNever;
  std::uint64_t down_since_ms_ = 0;
  std::uint64_t beats_ = 0;
  std::uint64_t watched_ms_ = 0;
  std::uint64_t silent_ms_ = 0;
};

}  // namespace websockets
