// SPDX-License-Identifier: MIT
#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace websockets {

void Timer::unlink() {
  if (link_ == nullptr) return;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  link_ = nullptr;
  next_ = nullptr;
}

TimerWheel::~TimerWheel() {
  while (due_ != nullptr) due_->unlink();
  while (being_called_ != nullptr) being_called_->unlink();
  for (auto& level : slots_) {
    for (Timer*& slot : level) {
      while (slot != nullptr) slot->unlink();
    }
  }
}

void TimerWheel::link(Timer*& list, Timer& timer) {
  timer.next_ = list;
  timer.link_ = &list;
  if (list != nullptr) list->link_ = &timer.next_;
  list = &timer;
}

void TimerWheel::schedule(Timer& timer, std::uint64_t deadline_ms) {
  timer.unlink();
  constexpr std::uint64_t kFarthest = (std::uint64_t{1} << (kBits * kLevels)) - 1;
  timer.deadline_ms_ = std::min(deadline_ms, now_ms_ | kFarthest);
  place(timer);
}

void TimerWheel::place(Timer& timer) {
  if (timer.deadline_ms_ <= now_ms_) {
    link(due_, timer);
    return;
  }
  unsigned highest_bit = 63U - static_cast<unsigned>(std::countl_zero(timer.deadline_ms_ ^ now_ms_));
  unsigned level = highest_bit / kBits;
  unsigned slot = static_cast<unsigned>(timer.deadline_ms_ >> (kBits * level)) & (kSlots - 1);
  occupied_[level] |= std::uint64_t{1} << slot;
  link(slots_[level][slot], timer);
}

// Moves to `list` every timer of a slot that the wheel passes or reaches on its way to `now_ms`.
void TimerWheel::collect(Timer*& list, std::uint64_t now_ms) {
  for (unsigned level = 0; level < kLevels; ++level) {
    std::uint64_t before = now_ms_ >> (kBits * level);
    std::uint64_t after = now_ms >> (kBits * level);
    if (before == after) return;
    std::uint64_t passed = occupied_[level];
    if (before >> kBits == after >> kBits) {
      unsigned last = static_cast<unsigned>(after) & (kSlots - 1);
      passed &= ~std::uint64_t{0} >> (kSlots - 1 - last);
    }
    occupied_[level] &= ~passed;
    for (; passed != 0; passed &= passed - 1) {
      Timer*& slot = slots_[level][static_cast<unsigned>(std::countr_zero(passed))];
      while (slot != nullptr) {
        Timer& timer = *slot;
        timer.unlink();
        link(list, timer);
      }
    }
  }
}

std::size_t TimerWheel::advance(std::uint64_t now_ms) {
  Timer* passed = nullptr;
  if (now_ms > now_ms_) {
    collect(passed, now_ms);
    now_ms_ = now_ms;
  }
  while (passed != nullptr) {
    Timer& timer = *passed;
    timer.unlink();
    place(timer);
  }
  // What is due now is taken off before anything is called, so that timers scheduled by the calls wait. It is put
  // behind what an outer call of this has not called yet.
  Timer** end = &being_called_;
  while (*end != nullptr) end = &(*end)->next_;
  *end = due_;
  if (due_ != nullptr) due_->link_ = end;
  due_ = nullptr;
  std::size_t called = 0;
  while (being_called_ != nullptr) {
    Timer& timer = *being_called_;
    timer.unlink();
    ++called;
    timer.on_timeout();
  }
  return called;
}

std::int64_t TimerWheel::idle_ms() {
  if (due_ != nullptr || being_called_ != nullptr) return 0;
  for (unsigned level = 0; level < kLevels; ++level) {
    while (occupied_[level] != 0) {
      unsigned slot = static_cast<unsigned>(std::countr_zero(occupied_[level]));
      if (slots_[level][slot] != nullptr) {
        std::uint64_t above = now_ms_ >> (kBits * (level + 1)) << (kBits * (level + 1));
        return static_cast<std::int64_t>((above | std::uint64_t{slot} << (kBits * level)) - now_ms_);
      }
      occupied_[level] &= occupied_[level] - 1;
    }
  }
  return -1;
}

}  // namespace websockets
