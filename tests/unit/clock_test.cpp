// SPDX-License-Identifier: MIT
#include "base/clock.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

TEST(Clock, TellsTheSameTimeInAllUnits) {
  const std::uint64_t before_ms = monotonic_ms();
  const std::uint64_t us = monotonic_us();
  const double exact_ms = monotonic_exact_ms();
  const std::uint64_t after_ms = monotonic_ms();
  EXPECT_LE(before_ms, us / 1000);
  EXPECT_LE(static_cast<double>(us) / 1000, exact_ms + 0.001);
  EXPECT_LT(exact_ms, static_cast<double>(after_ms + 1));
}

TEST(Clock, GoesOn) {
  const std::uint64_t before_us = monotonic_us();
  while (monotonic_us() == before_us) {
  }
  EXPECT_GT(monotonic_us(), before_us);
}

}  // namespace
}  // namespace websockets
