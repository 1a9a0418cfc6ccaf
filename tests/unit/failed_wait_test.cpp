// SPDX-License-Identifier: MIT
#include "net/failed_wait.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace websockets {
namespace {

TEST(FailedWait, PausesForAMomentUnlessNothingWasToBeWaitedFor) {
  const std::uint64_t start_us = monotonic_us();
  pause_after_failed_wait(2);
  const std::uint64_t after_short_us = monotonic_us();
  EXPECT_GE(after_short_us - start_us, 2000U);
  pause_after_failed_wait(-1);
  EXPECT_GE(monotonic_us() - after_short_us, 10'000U);
  for (int i = 0; i < 100'000; ++i) pause_after_failed_wait(0);  // would take minutes
}

}  // namespace
}  // namespace websockets
