// SPDX-License-Identifier: MIT
#include "server/receiver.h"

#include <gtest/gtest.h>

#include "fake_receiver.h"

namespace websockets {
namespace {

TEST(Receiver, HasNotJoinedAtFirst) {
  FakeReceiver receiver;
  EXPECT_EQ(receiver.serial(), 0U);
  EXPECT_EQ(receiver.broadcast_mode(), BroadcastMode::kForwardText);
  receiver.set_broadcast_mode(BroadcastMode::kCallback);
  EXPECT_EQ(receiver.broadcast_mode(), BroadcastMode::kCallback);
  receiver.join(3, 1ULL << 40U);
  EXPECT_EQ(receiver.subprotocol(), 3U);
  EXPECT_EQ(receiver.serial(), 1ULL << 40U);
}

TEST(Receiver, MovesFromTheListOfItsOwnerToThatOfItsSubprotocol) {
  FakeReceiver first;
  FakeReceiver second;
  ReceiverList of_owner;
  ReceiverList of_subprotocol;
  of_owner.push_back(first);
  of_owner.push_back(second);
  of_owner.remove(first);
  of_subprotocol.push_back(first);
  EXPECT_EQ(of_owner.first(), &second);
  EXPECT_EQ(of_subprotocol.first(), &first);
  of_owner.remove(second);
  of_subprotocol.push_back(second);
  EXPECT_TRUE(of_owner.empty());
  EXPECT_EQ(ReceiverList::next(first), &second);
  of_subprotocol.remove(first);
  of_subprotocol.remove(second);
}

}  // namespace
}  // namespace websockets
