// SPDX-License-Identifier: MIT
#include "cluster/worker_slot.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

constexpr std::uint64_t kNever = WorkerSlot::kNever;

TEST(WorkerSlot, IsFilledAgainAfterPausesThatGrow) {
  WorkerSlot slot;
  std::uint64_t now_ms = 1'000;
  for (const std::uint64_t pause_ms : {100U, 200U, 400U, 800U, 1'600U, 3'200U, 6'400U, 10'000U, 10'000U}) {
    slot.on_forked(7, now_ms);
    EXPECT_EQ(slot.pid(), 7);
    EXPECT_EQ(slot.restart_ms(), kNever);
    slot.on_exit(now_ms);
    EXPECT_EQ(slot.pid(), 0);
    EXPECT_EQ(slot.restart_ms(), now_ms + pause_ms);
    now_ms += pause_ms;
  }
  EXPECT_EQ(slot.generation(), 9U);
}

TEST(WorkerSlot, IsFilledAtOnceAgainAfterAWorkerThatWasReadyForLong) {
  WorkerSlot slot;
  for (int i = 0; i < 5; ++i) {
    slot.on_forked(7, 0);
    slot.on_exit(0);
  }
  slot.on_forked(7, 10'000);
  slot.on_exit(30'000);
  EXPECT_EQ(slot.restart_ms(), 33'200U) << "it was never ready";
  slot.on_forked(7, 40'000);
  slot.on_ready(41'000);
  slot.on_exit(50'999);
  EXPECT_EQ(slot.restart_ms(), 57'399U);
  slot.on_forked(7, 60'000);
  slot.on_ready(61'000);
  slot.on_ending(61'500);
  slot.on_exit(71'000);
  EXPECT_EQ(slot.restart_ms(), 71'100U);
}

TEST(WorkerSlot, NeedsANeighbourOnceItWasDownForASecond) {
  WorkerSlot slot;
  slot.on_forked(7, 500);
  EXPECT_EQ(slot.neighbour_ms(), 1'500U);
  slot.on_ready(600);
  EXPECT_EQ(slot.neighbour_ms(), kNever);
  slot.on_ending(2'000);
  EXPECT_EQ(slot.neighbour_ms(), 3'000U);
  slot.on_exit(2'500);
  slot.on_forked(8, 2'600);
  slot.on_exit(2'700);
  EXPECT_EQ(slot.neighbour_ms(), 3'000U) << "it was down all the time";
}

TEST(WorkerSlot, IsSilentWhileTheLoopDoesNotTurn) {
  WorkerSlot slot;
  slot.on_forked(7, 0);
  EXPECT_EQ(slot.watch(1, 100, 200), 0U);
  EXPECT_EQ(slot.watch(1, 200, 200), 100U);
  EXPECT_EQ(slot.watch(1, 300, 200), 200U);
  EXPECT_EQ(slot.watch(1, 90'000, 200), 400U) << "nobody has looked meanwhile";
  EXPECT_EQ(slot.watch(2, 90'100, 200), 0U);
  EXPECT_EQ(slot.watch(2, 90'200, 200), 100U);
  slot.on_forked(8, 90'300);
  EXPECT_EQ(slot.watch(2, 90'400, 200), 100U) << "from its beginning";
}

}  // namespace
}  // namespace websockets
