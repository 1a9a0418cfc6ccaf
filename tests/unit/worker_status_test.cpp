// SPDX-License-Identifier: MIT
#include "cluster/worker_status.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "forked.h"

namespace websockets {
namespace {

class WorkerStatusTest : public testing::Test {
 protected:
  WorkerStatusTest() {
    Result<std::unique_ptr<WorkerStatus>> made = WorkerStatus::create(3, {"chat", "news"});
    EXPECT_TRUE(made) << made.error().text;
    status = std::move(*made);
  }

  static StatsReport some(std::size_t number) {
    StatsReport report;
    report.counted.messages_received = number;
    report.counted.closed[0] = number + 1;
    report.counted.refuse(RefusalReason::kShutdown);
    report.moved.bytes_sent = number + 2;
    report.connections = number + 3;
    report.queued_bytes = number + 4;
    report.topics = number + 5;
    report.subscriptions = number + 6;
    report.protocols = {{"chat", number + 7, number + 8}, {"news", number + 9, number + 10}};
    return report;
  }

  std::unique_ptr<WorkerStatus> status;
};

TEST_F(WorkerStatusTest, TellsOthersWhatAWorkerHas) {
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      status->begin(1, {});
      status->publish(1, some(100));
      return true;
    });
  }
  EXPECT_TRUE(has_succeeded(child));
  const StatsReport report = status->report(1);
  EXPECT_EQ(report.counted.messages_received, 100U);
  EXPECT_EQ(report.counted.closed[0], 101U);
  EXPECT_EQ(report.counted.refused[static_cast<std::size_t>(RefusalReason::kShutdown)], 1U);
  EXPECT_EQ(report.moved.bytes_sent, 102U);
  EXPECT_EQ(report.connections, 103U);
  EXPECT_EQ(status->connections(1), 103U);
  EXPECT_EQ(report.queued_bytes, 104U);
  EXPECT_EQ(report.topics, 105U);
  EXPECT_EQ(report.subscriptions, 106U);
  ASSERT_EQ(report.protocols.size(), 2U);
  EXPECT_EQ(report.protocols[0].name, "chat");
  EXPECT_EQ(report.protocols[0].open, 107U);
  EXPECT_EQ(report.protocols[0].opened, 108U);
  EXPECT_EQ(report.protocols[1].name, "news");
  EXPECT_EQ(report.protocols[1].open, 109U);
  EXPECT_EQ(report.protocols[1].opened, 110U);
  EXPECT_EQ(status->report(0).counted.messages_received, 0U);
}

TEST_F(WorkerStatusTest, AddsWorkersUp) {
  status->publish(0, some(100));
  status->publish(2, some(1'000));
  const StatsReport total = status->total();
  EXPECT_EQ(total.counted.messages_received, 1'100U);
  EXPECT_EQ(total.connections, 1'106U);
  EXPECT_EQ(total.protocols[1].opened, 1'120U);
}

TEST_F(WorkerStatusTest, KeepsTheCountersOfADeadWorkerAndForgetsItsGauges) {
  status->occupy(1, 77);
  EXPECT_EQ(status->pid(1), 77);
  status->begin(1, {});
  status->publish(1, some(100));
  status->vacate(1);
  EXPECT_EQ(status->pid(1), 0);
  EXPECT_EQ(status->connections(1), 0U);
  StatsReport report = status->report(1);
  EXPECT_EQ(report.counted.messages_received, 100U);
  EXPECT_EQ(report.moved.bytes_sent, 102U);
  EXPECT_EQ(report.protocols[0].opened, 108U);
  EXPECT_EQ(report.connections, 0U);
  EXPECT_EQ(report.subscriptions, 0U);
  EXPECT_EQ(report.protocols[0].open, 0U);
  // The next one had counted something before it was forked, which was told already.
  status->begin(1, some(10));
  status->publish(1, some(15));
  report = status->report(1);
  EXPECT_EQ(report.counted.messages_received, 105U);
  EXPECT_EQ(report.connections, 18U);
}

TEST_F(WorkerStatusTest, TellsNothingTorn) {
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([&] {
      for (std::size_t i = 1;; ++i) status->publish(0, some(i));
      return true;
    });
  }
  std::size_t last = 0;
  for (int i = 0; i < 100'000 || last < 1'000; ++i) {
    const StatsReport report = status->report(0);
    const std::uint64_t number = report.counted.messages_received;
    if (number == 0) continue;
    ASSERT_EQ(report.protocols[1].open, number + 9);
    ASSERT_EQ(report.subscriptions, number + 6);
    ASSERT_GE(number, last);
    last = number;
  }
  // Wherever it was.
  ::kill(child, SIGKILL);
  EXPECT_FALSE(has_succeeded(child));
  const StatsReport report = status->report(0);
  EXPECT_EQ(report.protocols[1].open, report.counted.messages_received + 9);
  status->vacate(0);
  EXPECT_EQ(status->report(0).counted.messages_received, report.counted.messages_received);
}

TEST_F(WorkerStatusTest, KnowsWhoHasMoreThanItsShare) {
  status->occupy(0, 1);
  status->set_accepting(0, true);
  status->set_connections(0, 100);
  status->occupy(1, 2);
  EXPECT_FALSE(status->is_above_mean(0)) << "the other one does not accept yet";
  status->set_accepting(1, true);
  EXPECT_TRUE(status->is_above_mean(0));
  EXPECT_FALSE(status->is_above_mean(1));
  status->set_connections(1, 98);
  EXPECT_FALSE(status->is_above_mean(0));
  EXPECT_FALSE(status->is_above_mean(1));
  status->vacate(1);
  EXPECT_FALSE(status->is_above_mean(0)) << "it is alone again";
}

TEST_F(WorkerStatusTest, CountsTheTurnsOfALoop) {
  EXPECT_EQ(status->beats(2), 0U);
  status->beat(2);
  EXPECT_EQ(status->beats(2), 1U);
}

}  // namespace
}  // namespace websockets
