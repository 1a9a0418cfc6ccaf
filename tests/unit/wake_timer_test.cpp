// SPDX-License-Identifier: MIT
#include "net/wake_timer.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "fake_pollable.h"

namespace websockets {
namespace {

class WakeTimerTest : public testing::Test {
 protected:
  WakeTimerTest() { EXPECT_TRUE(timer_.open()); }
  void wait() const {
    pollfd poll{timer_.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&poll, 1, -1), 1);
  }

  WakeTimer timer_;
};

TEST_F(WakeTimerTest, HasNoDescriptorAtFirst) {
  EXPECT_EQ(WakeTimer().fd(), -1);
  EXPECT_FALSE(is_readable(timer_.fd()));
}

TEST_F(WakeTimerTest, IsReadableAtOnceUntilItIsReset) {
  timer_.wake_at(0);
  EXPECT_TRUE(is_readable(timer_.fd()));
  timer_.wake_at(monotonic_ms() + 1'000'000);
  EXPECT_TRUE(is_readable(timer_.fd())) << "that is later";
  timer_.reset();
  EXPECT_FALSE(is_readable(timer_.fd()));
}

TEST_F(WakeTimerTest, IsReadableWhenTheTimeHasCome) {
  const std::uint64_t time_ms = monotonic_ms() + 3;
  timer_.wake_at(monotonic_ms() + 1'000'000);
  timer_.wake_at(time_ms);
  wait();
  EXPECT_GE(monotonic_ms(), time_ms);
  timer_.reset();
  timer_.wake_at(monotonic_ms() + 1'000'000);
  EXPECT_FALSE(is_readable(timer_.fd()));
  timer_.wake_at(monotonic_ms());
  wait();
}

}  // namespace
}  // namespace websockets
