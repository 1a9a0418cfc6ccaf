// SPDX-License-Identifier: MIT
// What output queues and shared messages count: all of it is forgotten in the end.
#include "base/memory_budget.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/output_queue.h"
#include "websocket/prepared_message.h"

namespace websockets {
namespace {

class Keeper : public PayloadOwner {
 public:
  void release_payload(int) override {}
};

TEST(MemoryBudgetTest, HasALimit) {
  MemoryBudget budget(800);
  budget.add(800);
  EXPECT_FALSE(budget.is_above_high_watermark());
  EXPECT_FALSE(budget.is_below_low_watermark());
  budget.add(1);
  EXPECT_TRUE(budget.is_above_high_watermark());
  budget.remove(101);
  EXPECT_TRUE(budget.is_below_low_watermark());
}

TEST(MemoryBudgetTest, OfZeroHasNone) {
  MemoryBudget budget(0);
  budget.add(std::size_t{1} << 62U);
  EXPECT_FALSE(budget.is_above_high_watermark());
  EXPECT_TRUE(budget.is_below_low_watermark());
}

TEST(MemoryBudgetTest, CountsWhatQueuesKeep) {
  MemoryBudget budget(0);
  OutputPool pool(budget);
  OutputQueue queue;
  Keeper keeper;
  const std::vector<std::uint8_t> bytes(100'000, 'x');
  for (int turn = 0; turn < 3; ++turn) {
    EXPECT_EQ(budget.used(), 0U);
    queue.append(pool, std::span(bytes).first(10));
    EXPECT_EQ(budget.used(), 256U);
    queue.append(pool, bytes);
    EXPECT_GE(budget.used(), 100'000U);
    EXPECT_LE(budget.used(), 110'000U);
    queue.append_pinned(pool, bytes, PinnedPayload(keeper, 1));
    *queue.extend(pool, 1) = 'x';
    EXPECT_GE(budget.used(), 200'000U);
    EXPECT_LE(budget.used(), 230'000U);
    queue.consume(pool, 10 + 100'000 + 50'000);
    EXPECT_GE(budget.used(), 100'000U);
    EXPECT_LE(budget.used(), 130'000U);
    if (turn == 1) {
      queue.clear(pool);
    } else {
      queue.consume(pool, 50'001);
    }
    EXPECT_TRUE(queue.empty());
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(MemoryBudgetTest, CountsASharedMessageOnce) {
  MemoryBudget budget(0);
  OutputPool pool(budget);
  std::vector<OutputQueue> queues(10);
  {
    const std::vector<std::uint8_t> bytes(1'000'000, 'x');
    PreparedMessage message(budget, Opcode::kText, bytes);
    for (OutputQueue& queue : queues) queue.append_frame(pool, message.frame_for(nullptr).bytes);
  }
  EXPECT_GE(budget.used(), 1'000'000U);
  EXPECT_LE(budget.used(), 1'010'000U);
  for (OutputQueue& queue : queues) queue.clear(pool);
  EXPECT_EQ(budget.used(), 0U);
}

}  // namespace
}  // namespace websockets
