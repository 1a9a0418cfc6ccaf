// SPDX-License-Identifier: MIT
#include "net/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace websockets {
namespace {

class TestTimer final : public Timer {
 public:
  explicit TestTimer(std::function<void()> action = {}) : action_(std::move(action)) {}
  void on_timeout() override {
    EXPECT_FALSE(scheduled());
    ++calls;
    // The action may destroy this timer.
    if (const std::function<void()> action = action_) action();
  }
  int calls = 0;

 private:
  std::function<void()> action_;
};

TEST(TimerWheel, CallsAtTheDeadlineAndNotBefore) {
  for (const std::uint64_t start : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{4095}, std::uint64_t{1} << 42U,
                                    (std::uint64_t{1} << 42U) - 1, std::uint64_t{1764000000123}}) {
    for (const std::uint64_t delay : {1, 2, 62, 63, 64, 65, 127, 4031, 4095, 4096, 4097, 262143, 262144, 262145}) {
      TimerWheel wheel(start);
      TestTimer timer;
      wheel.schedule(timer, start + delay);
      EXPECT_TRUE(timer.scheduled());
      EXPECT_EQ(wheel.advance(start + delay - 1), 0U);
      EXPECT_EQ(timer.calls, 0);
      EXPECT_EQ(wheel.idle_ms(), 1);
      EXPECT_EQ(wheel.advance(start + delay), 1U);
      EXPECT_EQ(timer.calls, 1);
      EXPECT_FALSE(timer.scheduled());
      EXPECT_EQ(wheel.idle_ms(), -1);
      EXPECT_EQ(wheel.advance(start + 2 * delay), 0U);
    }
  }
}

TEST(TimerWheel, GoesOnWithWhatIsDueWhenItIsAdvancedWithinACall) {
  TimerWheel wheel(0);
  std::vector<int> order;
  TestTimer later([&] { order.push_back(3); });
  TestTimer other([&] { order.push_back(2); });
  TestTimer first([&] {
    order.push_back(1);
    wheel.schedule(later, 0);
    EXPECT_EQ(wheel.idle_ms(), 0);
    EXPECT_EQ(wheel.advance(10), 2U);
    EXPECT_EQ(wheel.idle_ms(), -1);
  });
  wheel.schedule(other, 10);
  wheel.schedule(first, 10);
  EXPECT_EQ(wheel.advance(10), 1U);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(TimerWheel, IsIdleUntilTheNextDeadlineAtMost) {
  TimerWheel wheel(1000);
  EXPECT_EQ(wheel.idle_ms(), -1);
  TestTimer far;
  TestTimer near;
  wheel.schedule(far, 1000000);
  EXPECT_GT(wheel.idle_ms(), 0);
  EXPECT_LE(wheel.idle_ms(), 999000);
  wheel.schedule(near, 1010);
  EXPECT_EQ(wheel.idle_ms(), 10);
  wheel.cancel(near);
  EXPECT_GT(wheel.idle_ms(), 10);
  wheel.cancel(far);
  EXPECT_EQ(wheel.idle_ms(), -1);
}

TEST(TimerWheel, CallsWhatIsDueAlreadyAtTheNextAdvance) {
  TimerWheel wheel(1000);
  TestTimer past;
  TestTimer present;
  wheel.schedule(past, 0);
  wheel.schedule(present, 1000);
  EXPECT_EQ(wheel.idle_ms(), 0);
  EXPECT_EQ(past.calls, 0);
  EXPECT_EQ(wheel.advance(1000), 2U);
}

TEST(TimerWheel, DoesNotGoBack) {
  TimerWheel wheel(1000);
  TestTimer timer;
  wheel.schedule(timer, 1001);
  EXPECT_EQ(wheel.advance(5), 0U);
  EXPECT_EQ(wheel.idle_ms(), 1);
  EXPECT_EQ(wheel.advance(1001), 1U);
}

TEST(TimerWheel, MovesATimerThatIsScheduledAgain) {
  TimerWheel wheel(0);
  TestTimer timer;
  wheel.schedule(timer, 10);
  wheel.schedule(timer, 5000);
  EXPECT_EQ(wheel.advance(4999), 0U);
  wheel.schedule(timer, 6000);
  EXPECT_EQ(wheel.advance(5999), 0U);
  wheel.schedule(timer, 5);
  EXPECT_EQ(wheel.advance(5999), 1U);
}

TEST(TimerWheel, CancelsWhatIsNotScheduled) {
  TimerWheel wheel(0);
  TestTimer timer;
  wheel.cancel(timer);
  wheel.schedule(timer, 1);
  wheel.cancel(timer);
  wheel.cancel(timer);
  EXPECT_FALSE(timer.scheduled());
  EXPECT_EQ(wheel.advance(10), 0U);
}

TEST(TimerWheel, TakesDeadlinesThatNeverCome) {
  TimerWheel wheel(1764000000123);
  TestTimer timer;
  wheel.schedule(timer, std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(timer.scheduled());
  EXPECT_GT(wheel.idle_ms(), 0);
  EXPECT_EQ(wheel.advance(1764000000123 + (std::uint64_t{1} << 47U)), 0U);
}

TEST(TimerWheel, LetsWhatIsScheduledByACallWait) {
  TimerWheel wheel(0);
  TestTimer second;
  TestTimer* itself = nullptr;
  TestTimer first([&] {
    wheel.schedule(*itself, 0);
    wheel.schedule(second, 10);
  });
  itself = &first;
  wheel.schedule(first, 10);
  EXPECT_EQ(wheel.advance(10), 1U);
  EXPECT_EQ(wheel.idle_ms(), 0);
  EXPECT_EQ(wheel.advance(10), 2U);
  EXPECT_EQ(second.calls, 1);
}

TEST(TimerWheel, CallsNothingThatACallHasCancelledMovedOrDestroyed) {
  TimerWheel wheel(0);
  // Whichever is called first stops the other three; the order is not promised.
  std::vector<std::unique_ptr<TestTimer>> timers(4);
  int calls = 0;
  const auto stop_others = [&](std::size_t self) {
    ++calls;
    wheel.cancel(*timers[(self + 1) % 4]);
    wheel.schedule(*timers[(self + 2) % 4], 1000);
    timers[(self + 3) % 4].reset();
  };
  for (std::size_t i = 0; i < 4; ++i) {
    timers[i] = std::make_unique<TestTimer>([=] { stop_others(i); });
    wheel.schedule(*timers[i], 10);
  }
  EXPECT_EQ(wheel.advance(10), 1U);
  EXPECT_EQ(calls, 1);
}

TEST(TimerWheel, LetsATimerDestroyItself) {
  TimerWheel wheel(0);
  std::vector<std::unique_ptr<TestTimer>> timers(3);
  for (auto& timer : timers) {
    timer = std::make_unique<TestTimer>([&timer] { timer.reset(); });
    wheel.schedule(*timer, 10);
  }
  EXPECT_EQ(wheel.advance(100), 3U);
  EXPECT_EQ(wheel.idle_ms(), -1);
}

TEST(TimerWheel, ForgetsDestroyedTimers) {
  TimerWheel wheel(0);
  for (const std::uint64_t deadline : {0, 10, 100, 100000}) {
    TestTimer timer;
    wheel.schedule(timer, deadline);
  }
  EXPECT_EQ(wheel.idle_ms(), -1);
  EXPECT_EQ(wheel.advance(1000000), 0U);
}

TEST(TimerWheel, CancelsItsTimersWhenItIsDestroyed) {
  TestTimer due;
  TestTimer near;
  TestTimer far;
  {
    TimerWheel wheel(100);
    wheel.schedule(due, 100);
    wheel.schedule(near, 101);
    wheel.schedule(far, 100000000);
  }
  EXPECT_FALSE(due.scheduled());
  EXPECT_FALSE(near.scheduled());
  EXPECT_FALSE(far.scheduled());
}

// A wheel beside a list of deadlines, driven by chance, also out of the calls.
class Simulation {
 public:
  explicit Simulation(unsigned seed)
      : random_(seed), now_ms_(random_() >> (20 + random_() % 44)), wheel_(now_ms_), entries_(40) {}

  void step() {
    act();
    const std::int64_t idle_ms = wheel_.idle_ms();
    check_idle(idle_ms);
    switch (random_() % 4) {
      case 0:  // as a loop that sleeps for exactly as long as it may
        if (idle_ms >= 0) now_ms_ += static_cast<std::uint64_t>(idle_ms);
        break;
      case 1:  // as a loop that was held up
        now_ms_ += some_span_ms();
        break;
      case 2:  // to the millisecond before something, or to it
        if (const auto first = first_deadline(); first && *first > now_ms_) now_ms_ = *first - random_() % 2;
        break;
      default:
        break;
    }
    advance();
  }

 private:
  struct Entry {
    std::unique_ptr<TestTimer> timer;
    std::optional<std::uint64_t> deadline_ms;
    bool waits = false;  // for the next advance()
  };

  // Of every order of magnitude.
  std::uint64_t some_span_ms() { return random_() >> (64 - random_() % 34 - 1); }

  std::optional<std::uint64_t> first_deadline() const {
    std::optional<std::uint64_t> first;
    for (const Entry& entry : entries_) {
      if (entry.deadline_ms && (!first || *entry.deadline_ms < *first)) first = entry.deadline_ms;
    }
    return first;
  }

  void check_idle(std::int64_t idle_ms) const {
    const auto first = first_deadline();
    if (!first) {
      EXPECT_EQ(idle_ms, -1);
    } else if (*first <= now_ms_) {
      EXPECT_EQ(idle_ms, 0);
    } else {
      EXPECT_GT(idle_ms, 0);
      EXPECT_LE(static_cast<std::uint64_t>(idle_ms), *first - now_ms_);
    }
  }

  void act() {
    const std::size_t index = random_() % entries_.size();
    Entry& entry = entries_[index];
    switch (random_() % 5) {
      case 0:
        if (entry.timer) wheel_.cancel(*entry.timer);
        entry.deadline_ms.reset();
        break;
      case 1:
        entry.timer.reset();
        entry.deadline_ms.reset();
        break;
      default:
        if (!entry.timer) entry.timer = std::make_unique<TestTimer>([this, index] { on_timeout(index); });
        entry.deadline_ms = random_() % 16 == 0 ? now_ms_ - std::min<std::uint64_t>(now_ms_, random_() % 100)
                                                : now_ms_ + some_span_ms();
        wheel_.schedule(*entry.timer, *entry.deadline_ms);
        entry.waits = is_advancing_;
        break;
    }
  }

  void on_timeout(std::size_t index) {
    Entry& entry = entries_[index];
    ++called_;
    EXPECT_TRUE(entry.deadline_ms && *entry.deadline_ms <= now_ms_ && !entry.waits);
    entry.deadline_ms.reset();
    for (auto actions = random_() % 3; actions > 0; --actions) act();
  }

  void advance() {
    for (Entry& entry : entries_) entry.waits = false;
    called_ = 0;
    is_advancing_ = true;
    EXPECT_EQ(wheel_.advance(now_ms_), called_);
    is_advancing_ = false;
    for (const Entry& entry : entries_) {
      EXPECT_FALSE(entry.deadline_ms && *entry.deadline_ms <= now_ms_ && !entry.waits) << "was not called";
      EXPECT_EQ(entry.timer && entry.timer->scheduled(), entry.deadline_ms.has_value());
    }
  }

  std::mt19937_64 random_;
  std::uint64_t now_ms_;
  TimerWheel wheel_;
  std::vector<Entry> entries_;
  std::size_t called_ = 0;
  bool is_advancing_ = false;
};

TEST(TimerWheel, AgreesWithAListOfDeadlines) {
  for (unsigned seed = 0; seed < 50 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Simulation simulation(seed);
    for (int i = 0; i < 1000 && !HasFailure(); ++i) simulation.step();
  }
}

}  // namespace
}  // namespace websockets
