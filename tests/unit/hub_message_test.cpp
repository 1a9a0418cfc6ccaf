// SPDX-License-Identifier: MIT
#include "cluster/hub_message.h"

#include <gtest/gtest.h>

#include <string>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "fake_receiver.h"
#include "server/hub.h"
#include "server/options.h"

namespace websockets {
namespace {

using Got = FakeReceiver::Got;

class HubMessageTest : public ::testing::Test {
 protected:
  HubMessageTest() {
    hub.join(chat, hub.subprotocols()[0]);
    hub.join(echo, hub.subprotocols()[1]);
  }

  FakeHub fake;
  Hub& hub = fake.hub;
  FakeReceiver chat, echo;
};

TEST_F(HubMessageTest, GoesToASubprotocol) {
  const HubMessage message = HubMessage::broadcast(1, as_bytes("1"));
  EXPECT_FALSE(message.is_published());
  message.deliver(hub);
  EXPECT_EQ(echo.got, Got{"t:1"});
  EXPECT_EQ(chat.got, Got{});
}

TEST_F(HubMessageTest, GoesToATopic) {
  for (const std::string topic : {"news", ""}) {
    hub.subscribe(chat, topic);
    const HubMessage text = HubMessage::publish(topic, Opcode::kText, as_bytes("1"));
    const HubMessage binary = HubMessage::publish(topic, Opcode::kBinary, as_bytes(""));
    EXPECT_TRUE(text.is_published() && binary.is_published());
    text.deliver(hub);
    binary.deliver(hub);
    HubMessage::publish("other", Opcode::kText, as_bytes("2")).deliver(hub);
    EXPECT_EQ(chat.got, (Got{"t:1", "b:"}));
    EXPECT_EQ(echo.got, Got{});
    chat.got.clear();
    hub.unsubscribe(chat, topic);
  }
}

TEST_F(HubMessageTest, GoesToNobodyWhereThereIsNoSuchSubprotocol) {
  HubMessage::broadcast(2, as_bytes("1")).deliver(hub);
  EXPECT_EQ(chat.got, Got{});
  EXPECT_EQ(echo.got, Got{});
}

}  // namespace
}  // namespace websockets
