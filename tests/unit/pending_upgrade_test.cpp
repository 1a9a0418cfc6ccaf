// SPDX-License-Identifier: MIT
#include "server/pending_upgrade.h"

#include <gtest/gtest.h>

#include <vector>

namespace websockets {
namespace {

using Status = PendingUpgrade::Status;

class PendingUpgradeTest : public testing::Test, public PendingUpgrade::Owner {
 protected:
  void on_answer(const UpgradeAnswer& answer) override {
    answered.push_back(answer.status);
    pending.end(Status::kAnswered);
  }
  void on_abandoned() noexcept override { ++abandoned; }

  Status answer(int status) { return pending.answer({status, {}, false, {}}); }

  PendingUpgrade pending{*this};
  std::vector<int> answered;
  int abandoned = 0;
};

TEST_F(PendingUpgradeTest, AnAnswerWithinTheCallWaitsForItsEnd) {
  EXPECT_EQ(answer(403), Status::kWaiting);
  EXPECT_TRUE(pending.has_answer());
  EXPECT_EQ(answer(101), Status::kAnswered);
  EXPECT_TRUE(answered.empty());
  EXPECT_EQ(pending.end_call()->status, 403);
  EXPECT_FALSE(pending.has_answer());
}

TEST_F(PendingUpgradeTest, ALaterAnswerTakesEffectAtOnce) {
  EXPECT_FALSE(pending.end_call());
  EXPECT_EQ(answer(101), Status::kWaiting);
  EXPECT_EQ(answered, std::vector{101});
  EXPECT_EQ(answer(403), Status::kAnswered);
  EXPECT_EQ(answered.size(), 1U);
}

TEST_F(PendingUpgradeTest, NobodyAnswersAClientThatHasLeft) {
  pending.end_call();
  pending.end(Status::kClosed);
  pending.end(Status::kAnswered);
  EXPECT_EQ(pending.status(), Status::kClosed);
  EXPECT_EQ(answer(101), Status::kClosed);
  pending.abandon();
  EXPECT_EQ(abandoned, 0);
  EXPECT_TRUE(answered.empty());
}

TEST_F(PendingUpgradeTest, TellsThatNobodyWillAnswer) {
  pending.end_call();
  pending.abandon();
  EXPECT_EQ(abandoned, 1);
  EXPECT_TRUE(pending.is_abandoned());
  EXPECT_EQ(pending.status(), Status::kWaiting);
}

}  // namespace
}  // namespace websockets
