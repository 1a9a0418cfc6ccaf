// SPDX-License-Identifier: MIT
#include "server/subprotocol.h"

#include <gtest/gtest.h>

#include "base/memory_budget.h"
#include "fake_receiver.h"
#include "server/hub.h"
#include "server/options.h"

namespace websockets {
namespace {

TEST(Subprotocol, KeepsItsWebsocketsInTheOrderInWhichTheyOpenedUntilTheyAreFreed) {
  ContextOptions options;
  options.protocols = {"chat", "echo"};
  FakeReceiverOwner owner;
  MemoryBudget memory(0);
  Hub hub(options, owner, memory);
  const Subprotocol& chat = hub.subprotocols()[0];
  FakeReceiver first;
  FakeReceiver second;
  FakeReceiver of_echo;
  hub.join(first, chat);
  hub.join(of_echo, *hub.find("echo"));
  hub.join(second, chat);
  EXPECT_EQ(chat.name, "chat");
  EXPECT_EQ(chat.open, 2U);
  EXPECT_EQ(chat.receivers.first(), &first);
  EXPECT_EQ(ReceiverList::next(first), &second);
  hub.leave(first);
  EXPECT_EQ(chat.open, 1U);
  EXPECT_EQ(chat.receivers.first(), &first) << "it is closed, but there still";
  hub.remove(first);
  EXPECT_EQ(chat.receivers.first(), &second);
  EXPECT_EQ(chat.opened, 2U);
  hub.leave(second);
  hub.remove(second);
  hub.leave(of_echo);
  hub.remove(of_echo);
}

}  // namespace
}  // namespace websockets
