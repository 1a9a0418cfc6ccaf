// SPDX-License-Identifier: MIT
#include "server/runner.h"

#include <gtest/gtest.h>

#include <csignal>

#include "context_fixture.h"

namespace websockets {
namespace {

constexpr std::uint64_t kVeryLong = 1'000'000'000;

class RunnerTest : public ContextFixture {
 protected:
  RunnerTest() { create(); }
};

TEST_F(RunnerTest, ServesUntilItIsStopped) {
  Runner runner(*context, kVeryLong);
  EXPECT_EQ(context->runner(), &runner);
  ASSERT_FALSE(runner.open());
  const UniqueFd client = connect();
  write_all(client.get(), "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  while (log.empty()) EXPECT_TRUE(runner.serve());
  EXPECT_EQ(log, (Log{"http /a"}));
  runner.stop();
  while (runner.serve()) {
  }
  EXPECT_TRUE(context->is_destroyed());
  EXPECT_EQ(runner.signal(), 0);
  EXPECT_FALSE(runner.was_cut_short());
}

TEST_F(RunnerTest, ASignalShutsTheContextDown) {
  Runner runner(*context, kVeryLong);
  ASSERT_FALSE(runner.open());
  std::raise(SIGTERM);
  while (runner.serve()) {
  }
  EXPECT_EQ(runner.signal(), SIGTERM);
  EXPECT_FALSE(runner.was_cut_short());
}

TEST_F(RunnerTest, ASecondSignalCutsThatShort) {
  const UniqueFd client = open_websocket();
  Runner runner(*context, kVeryLong);
  ASSERT_FALSE(runner.open());
  std::raise(SIGTERM);
  while (!context->is_shutting_down()) EXPECT_TRUE(runner.serve());
  EXPECT_FALSE(context->is_destroyed()) << "its client has not answered";
  std::raise(SIGINT);
  while (runner.serve()) {
  }
  EXPECT_EQ(runner.signal(), SIGINT);
  EXPECT_TRUE(runner.was_cut_short());
}

TEST_F(RunnerTest, ANestedOneLearnsOfTheSignalFromTheOuterOne) {
  Runner outer(*context, kVeryLong);
  ASSERT_FALSE(outer.open());
  {
    Runner inner(*context, kVeryLong);
    ASSERT_FALSE(inner.open());
    EXPECT_EQ(context->runner(), &inner);
    std::raise(SIGINT);
    while (inner.serve()) {
    }
    EXPECT_EQ(inner.signal(), SIGINT);
  }
  EXPECT_EQ(context->runner(), &outer);
  EXPECT_EQ(outer.signal(), SIGINT);
}

}  // namespace
}  // namespace websockets
