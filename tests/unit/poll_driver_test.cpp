// SPDX-License-Identifier: MIT
#include "net/drivers/poll_driver.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "fake_pollable.h"
#include "socket_pairs.h"

namespace websockets {
namespace {

// What every driver does is in driver_test.cpp.
class PollDriverTest : public testing::Test {
 protected:
  PollDriverTest() {
    for (int i = 0; i < 3; ++i) {
      pairs_.push_back(local_pair());
      pollables_.push_back(std::make_unique<FakePollable>(pairs_.back().near.get(), log_));
      EXPECT_TRUE(driver_.add(*pollables_.back(), kWritable));
    }
  }

  PollDriver driver_;
  std::vector<std::string> log_;
  std::vector<SocketPair> pairs_;
  std::vector<std::unique_ptr<FakePollable>> pollables_;
};

TEST_F(PollDriverTest, IsNoDescriptor) { EXPECT_EQ(driver_.fd(), -1); }

TEST_F(PollDriverTest, TheLastOneTakesThePlaceOfOneThatIsRemoved) {
  driver_.remove(*pollables_[0]);
  driver_.remove(*pollables_[0]);
  driver_.modify(*pollables_[2], kReadable);
  std::array<Ready, 4> ready;
  ASSERT_EQ(driver_.wait(ready, -1), 1);
  EXPECT_EQ(ready[0].pollable, pollables_[1].get());
  driver_.remove(*pollables_[2]);
  driver_.remove(*pollables_[1]);
  EXPECT_EQ(driver_.wait(ready, 0), 0);
}

TEST_F(PollDriverTest, BeginsBehindTheLastReportWhenThereIsLittleRoom) {
  std::array<Ready, 1> ready;
  std::vector<Pollable*> reported;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(driver_.wait(ready, -1), 1);
    reported.push_back(ready[0].pollable);
  }
  EXPECT_NE(reported[0], reported[1]);
  EXPECT_NE(reported[1], reported[2]);
  EXPECT_NE(reported[2], reported[0]);
}

}  // namespace
}  // namespace websockets
