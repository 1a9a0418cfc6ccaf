// SPDX-License-Identifier: MIT
#include "loop/scheduler.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace websockets {
namespace {

// A flow with items of work, each of which cannot be divided.
struct Worker : Flow {
  std::vector<std::uint32_t> items;  // costs; the last one is next
  bool is_exclusive = false;
  std::uint64_t spent = 0;
  int runs = 0;
  std::function<void()> on_run = [] {};
};

class SchedulerTest : public ::testing::Test {
 protected:
  Worker& add(std::uint32_t cost, std::size_t count) {
    workers_.push_back(std::make_unique<Worker>());
    workers_.back()->items.assign(count, cost);
    return *workers_.back();
  }

  // It waits already.
  Worker& add_exclusive(std::uint32_t cost, std::size_t count) {
    Worker& worker = add(cost, count);
    worker.is_exclusive = true;
    enqueue(worker);
    return worker;
  }

  // Returns whether it is in the midst of exclusive work.
  bool work(Worker& worker, Budget& budget) {
    while (!worker.items.empty() && !budget.is_spent()) {
      budget.spend(worker.items.back());
      worker.spent += worker.items.back();
      worker.items.pop_back();
    }
    worker.set_bulk(!worker.items.empty());
    if (!worker.items.empty()) enqueue(worker);
    return worker.is_exclusive && !worker.items.empty();
  }
  void enqueue(Worker& worker) {
    worker.is_exclusive ? scheduler_.enqueue_exclusive(worker) : scheduler_.enqueue(worker);
  }

  bool run_round(std::size_t served = 0) {
    return scheduler_.run_round(served, [&](Worker& worker, Budget& budget, bool is_exclusive) {
      EXPECT_EQ(is_exclusive, worker.is_exclusive);
      ++worker.runs;
      order_.push_back(&worker);
      worker.on_run();
      return work(worker, budget);
    });
  }

  Scheduler<Worker> scheduler_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> order_;
};

TEST_F(SchedulerTest, GivesFlowsTheSameWhateverTheirItemsCost) {
  Worker& small = add(1, 1'000'000);
  Worker& large = add(kQuantum, 200);
  enqueue(small);
  enqueue(large);
  for (int round = 0; round < 100; ++round) {
    run_round();
    EXPECT_LE(std::max(small.spent, large.spent) - std::min(small.spent, large.spent), kQuantum);
  }
  EXPECT_EQ(small.spent + large.spent, 100U * kQuantum);
}

TEST_F(SchedulerTest, ASparseFlowIsServedAtOnceWhileOthersFlood) {
  for (int i = 0; i < 1000; ++i) enqueue(add(100, 1000));
  Worker& sparse = add(10, 1);
  run_round();
  EXPECT_EQ(order_.size(), 1U) << "between two sparse flows one bulk flow has its quantum";
  EXPECT_FALSE(sparse.is_bulk());
  Scheduler<Worker>::Share share(scheduler_, sparse);
  EXPECT_GE(share.budget.left(), Scheduler<Worker>::kLeastShare);
  work(sparse, share.budget);
  EXPECT_FALSE(scheduler_.is_queued(sparse));
}

TEST_F(SchedulerTest, GivesSparseFlowsLessWhenTheyAreMany) {
  std::vector<std::uint32_t> given;
  for (int i = 0; i < 30; ++i) {
    Worker& sparse = add(0, 0);
    Scheduler<Worker>::Share share(scheduler_, sparse);
    given.push_back(share.budget.left());
    share.budget.spend(given.back());
  }
  EXPECT_EQ(given.front(), kQuantum);
  EXPECT_EQ(given.back(), Scheduler<Worker>::kLeastShare);
  run_round();
  Worker& later = add(0, 0);
  EXPECT_EQ(Scheduler<Worker>::Share(scheduler_, later).budget.left(), kQuantum) << "a new round";
}

TEST_F(SchedulerTest, RunsOneBulkFlowForEach64ThatWereServed) {
  for (int i = 0; i < 10; ++i) enqueue(add(kQuantum, 10));
  run_round(63);
  EXPECT_EQ(order_.size(), 1U);
  run_round(64);
  EXPECT_EQ(order_.size(), 3U);
  run_round(1'000'000);
  EXPECT_EQ(order_.size(), 13U) << "each at most once in a round";
}

TEST_F(SchedulerTest, AnItemOfTenQuantaIsPaidBack) {
  Worker& rude = add(10 * kQuantum, 2);
  Worker& other = add(kQuantum, 100);
  enqueue(rude);
  enqueue(other);
  for (int round = 0; round < 20; ++round) run_round();
  EXPECT_EQ(rude.spent, 10U * kQuantum);
  EXPECT_EQ(other.spent, 10U * kQuantum);
  run_round();
  EXPECT_EQ(rude.spent, 20U * kQuantum);
}

TEST_F(SchedulerTest, NoItemCostsMoreThanAThousandRounds) {
  Worker& rude = add(1U << 28U, 2);
  enqueue(rude);
  for (int round = 0; round < 1002; ++round) run_round();
  EXPECT_TRUE(rude.items.empty());
}

TEST_F(SchedulerTest, ASparseFlowThatOverdrawsItsShareIsBulkUntilItHasPaid) {
  Worker& rude = add(3 * kQuantum, 1);
  {
    Scheduler<Worker>::Share share(scheduler_, rude);
    work(rude, share.budget);
  }
  EXPECT_TRUE(rude.is_bulk());
  rude.items = {1};
  enqueue(rude);
  int rounds = 0;
  for (; rude.items.size() == 1; ++rounds) ASSERT_TRUE(run_round());
  EXPECT_EQ(rounds, 3);
  EXPECT_FALSE(rude.is_bulk());
}

TEST_F(SchedulerTest, TheExclusiveOneStaysFirstUntilItIsDone) {
  for (int i = 0; i < 3; ++i) add_exclusive(kQuantum, 4);
  while (run_round()) {
  }
  std::vector<Worker*> expected;
  for (const auto& worker : workers_) expected.insert(expected.end(), 4, worker.get());
  EXPECT_EQ(order_, expected);
}

TEST_F(SchedulerTest, TheExclusiveOneThatDoesNotGoOnLetsTheOthers) {
  Worker& first = add_exclusive(kQuantum, 4);
  Worker& second = add_exclusive(kQuantum, 2);
  run_round();
  first.items.clear();  // it is in the queue, and finds nothing to do
  run_round();
  run_round();
  EXPECT_EQ(order_, (std::vector<Worker*>{&first, &first, &second}));
}

TEST_F(SchedulerTest, TheExclusiveOneThatIsThroughLetsTheOthersThoughItHasOtherWork) {
  Worker& first = add_exclusive(kQuantum, 1);
  Worker& second = add_exclusive(kQuantum, 1);
  first.on_run = [&] { scheduler_.enqueue(first); };
  run_round();
  first.is_exclusive = false;
  run_round();
  EXPECT_EQ(order_, (std::vector<Worker*>{&first, &first, &second}));
}

TEST_F(SchedulerTest, NobodyElseIsExclusiveWhileTheHolderHasAnotherQuantum) {
  Worker& first = add_exclusive(kQuantum, 4);
  add_exclusive(kQuantum, 4);
  run_round();
  scheduler_.enqueue(first);  // for its output, say
  std::vector<bool> exclusive;
  const auto run = [&](Worker& worker, Budget& budget, bool is_exclusive) {
    EXPECT_EQ(&worker, &first);
    exclusive.push_back(is_exclusive);
    return work(worker, budget);
  };
  scheduler_.run_round(0, run);
  EXPECT_EQ(exclusive, (std::vector{false, true}));
}

TEST_F(SchedulerTest, RemovesTheNextTheLastAndTheRunningOne) {
  std::array<Worker*, 4> all{};
  for (Worker*& worker : all) enqueue(*(worker = &add(kQuantum, 3)));
  all[0]->on_run = [&] {
    scheduler_.remove(*all[1]);  // the next one
    scheduler_.remove(*all[3]);  // the last one
    scheduler_.remove(*all[0]);  // which runs
    all[0]->items.clear();
  };
  run_round();
  run_round();
  run_round();
  EXPECT_EQ(order_, (std::vector{all[0], all[2], all[2]}));
  scheduler_.remove(*all[2]);
  EXPECT_FALSE(scheduler_.has_queued());
  EXPECT_FALSE(run_round());
}

TEST_F(SchedulerTest, ARemovedHolderLetsTheOthers) {
  Worker& first = add_exclusive(kQuantum, 4);
  Worker& second = add_exclusive(kQuantum, 1);
  run_round();
  scheduler_.remove(first);
  run_round();
  EXPECT_EQ(order_, (std::vector<Worker*>{&first, &second}));
}

TEST_F(SchedulerTest, ARoundMayRunWithinAFlow) {
  Worker& outer = add(1, 1);
  Worker& inner = add(1, 1);
  enqueue(outer);
  enqueue(inner);
  outer.on_run = [&] { EXPECT_TRUE(run_round()); };
  EXPECT_TRUE(run_round());
  EXPECT_EQ(order_, (std::vector<Worker*>{&outer, &inner}));
  EXPECT_FALSE(scheduler_.has_queued());
}

TEST_F(SchedulerTest, ARoundWithinTheExclusiveOneLetsTheOthers) {
  Worker& outer = add(kQuantum, 3);
  Worker& inner = add(kQuantum, 1);
  outer.is_exclusive = inner.is_exclusive = true;
  enqueue(outer);
  enqueue(inner);
  outer.on_run = [&] {
    if (!inner.items.empty()) run_round();
  };
  run_round();
  EXPECT_EQ(order_, (std::vector<Worker*>{&outer, &inner}));
  Worker& last = add(kQuantum, 1);
  last.is_exclusive = true;
  enqueue(last);
  for (int round = 0; round < 10; ++round) run_round();
  EXPECT_EQ(order_, (std::vector<Worker*>{&outer, &inner, &outer, &outer, &last})) << "it is the first one still";
}

TEST_F(SchedulerTest, WhatIsSentCountsForAllTogetherUntilTheRoundEnds) {
  scheduler_.charge_sent(200U << 10U);
  EXPECT_FALSE(scheduler_.has_sent_much());
  scheduler_.charge_sent(60U << 10U);
  EXPECT_TRUE(scheduler_.has_sent_much());
  scheduler_.begin_round();
  EXPECT_FALSE(scheduler_.has_sent_much());
  scheduler_.charge_slow_send();
  EXPECT_TRUE(scheduler_.has_sent_much());
}

TEST_F(SchedulerTest, WhatBulkFlowsSendCountsUntilTheirNextPart) {
  Worker& bulk = add(kQuantum, 1);
  bulk.on_run = [this] { scheduler_.charge_slow_send(); };
  enqueue(bulk);
  run_round();
  EXPECT_TRUE(scheduler_.has_sent_much()) << "else a round has twice as much: theirs, and that of who is ready";
  run_round();
  EXPECT_FALSE(scheduler_.has_sent_much()) << "they have sent nothing";
}

// Whatever things cost: who waits has its quantum within as many rounds as there are flows, beside those in which it
// pays back what it has overdrawn.
TEST_F(SchedulerTest, NobodyWaitsForMoreRoundsThanThereAreFlows) {
  std::minstd_rand random(7);
  for (int trial = 0; trial < 50; ++trial) {
    workers_.clear();
    order_.clear();
    scheduler_.~Scheduler();
    new (&scheduler_) Scheduler<Worker>;
    const std::size_t count = 1 + random() % 20;
    for (std::size_t i = 0; i < count; ++i) {
      Worker& worker = add(1, 0);
      for (int item = 0; item < 400; ++item)
        worker.items.push_back(1 + static_cast<std::uint32_t>(random() % kQuantum));
      enqueue(worker);
    }
    std::vector<std::size_t> waited(count);
    for (int round = 0; round < 200; ++round) {
      order_.clear();
      run_round(random() % 200);
      for (std::size_t i = 0; i < count; ++i) {
        const bool had_its_quantum = std::find(order_.begin(), order_.end(), workers_[i].get()) != order_.end();
        waited[i] = had_its_quantum || workers_[i]->items.empty() ? 0 : waited[i] + 1;
        ASSERT_LE(waited[i], 2 * count) << "an overdraft is less than a quantum here: one more quantum of all";
      }
    }
  }
}

}  // namespace
}  // namespace websockets
