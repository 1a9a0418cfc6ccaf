// SPDX-License-Identifier: MIT
#include "base/pinned_payload.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace websockets {
namespace {

class FakePayloadOwner final : public PayloadOwner {
 public:
  void release_payload(int handle) override { released.push_back(handle); }
  std::vector<int> released;
};

using Handles = std::vector<int>;

TEST(PinnedPayload, IsReleasedOnceWhoeverHasItLast) {
  FakePayloadOwner owner;
  {
    PinnedPayload first(owner, 7);
    EXPECT_TRUE(first);
    PinnedPayload second(std::move(first));
    EXPECT_FALSE(first);
    PinnedPayload third;
    EXPECT_FALSE(third);
    third = std::move(second);
    EXPECT_TRUE(owner.released.empty());
  }
  EXPECT_EQ(owner.released, (Handles{7}));
}

TEST(PinnedPayload, LetsGoOfTheOneBefore) {
  FakePayloadOwner owner;
  PinnedPayload payload(owner, 1);
  payload = PinnedPayload(owner, 2);
  EXPECT_EQ(owner.released, (Handles{1}));
  payload.reset();
  payload.reset();
  EXPECT_EQ(owner.released, (Handles{1, 2}));
}

}  // namespace
}  // namespace websockets
