// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace websockets {

// Something that wants to be called once at a certain time. Cancels itself when destroyed.
class Timer {
 public:
  virtual void on_timeout() = 0;
  bool scheduled() const { return link_ != nullptr; }
  // When it is, or was, due.
  std::uint64_t deadline_ms() const { return deadline_ms_; }

  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 protected:
  Timer() = default;
  ~Timer() { unlink(); }

 private:
  friend class TimerWheel;
  void unlink();

  Timer** link_ = nullptr;  // what points to this timer; nullptr: not scheduled
  Timer* next_ = nullptr;
  std::uint64_t deadline_ms_ = 0;
};

// A hierarchical timing wheel (Varghese and Lauck): schedule, cancel and expiry in O(1), whatever the number of
// timers. Times are milliseconds of any clock that does not go back. Timers that are still scheduled when the wheel is
// destroyed are cancelled.
class TimerWheel {
 public:
  explicit TimerWheel(std::uint64_t now_ms) : now_ms_(now_ms) {}
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // A timer that is scheduled already is moved. A deadline that has passed is due at the next advance(); one that is
  // thousands of years away is brought nearer.
  void schedule(Timer& timer, std::uint64_t deadline_ms);
  void cancel(Timer& timer) { timer.unlink(); }

  // Calls on_timeout() of every timer whose deadline is at or before `now_ms`; a timer that is scheduled by those calls
  // waits for the next advance(). They may cancel and destroy any timer, and call advance(), which goes on with those
  // that are due. Returns how many were called.
  std::size_t advance(std::uint64_t now_ms);

  // The time of the last advance().
  std::uint64_t now_ms() const { return now_ms_; }
  // For how long nothing is due, in milliseconds from the last advance(): never too long, 0 when something is due now,
  // -1 when no timer is scheduled.
  std::int64_t idle_ms();

 private:
  static constexpr unsigned kBits = 6;
  static constexpr unsigned kSlots = 1U << kBits;
  static constexpr unsigned kLevels = 8;  // 2^48 ms: 8900 years, so that milliseconds since 1970 fit too

  void place(Timer& timer);
  void link(Timer*& list, Timer& timer);
  void collect(Timer*& list, std::uint64_t now_ms);

  std::uint64_t now_ms_;
  Timer* due_ = nullptr;
  Timer* being_called_ = nullptr;  // by advance()
  // A slot of level n holds timers whose deadline agrees with now_ms_ in all digits (base 64) above n.
  std::array<std::array<Timer*, kSlots>, kLevels> slots_{};
  std::array<std::uint64_t, kLevels> occupied_{};  // a bit per slot; may stay set after a cancel
};

}  // namespace websockets
