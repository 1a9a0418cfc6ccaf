// SPDX-License-Identifier: MIT
#include "server/hub.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "fake_receiver.h"
#include "server/options.h"

namespace websockets {
namespace {

using Got = FakeReceiver::Got;
using Codes = std::vector<CloseCode>;

ContextOptions options_with(std::vector<std::string> protocols) {
  ContextOptions options;
  options.protocols = std::move(protocols);
  return options;
}

class HubTest : public ::testing::Test {
 protected:
  explicit HubTest(const ContextOptions& options = options_with({"chat", "echo"})) : hub(options, owner, memory) {}
  ~HubTest() override { EXPECT_EQ(memory.used(), 0U); }

  FakeReceiver& open(std::size_t subprotocol = 0) {
    FakeReceiver& receiver = receivers.emplace_back();
    hub.join(receiver, hub.subprotocols()[subprotocol]);
    return receiver;
  }
  DeliveryStatus broadcast(std::string_view data, std::size_t subprotocol = 0) {
    return hub.broadcast(hub.subprotocols()[subprotocol], as_bytes(data));
  }
  std::size_t publish(std::string_view topic, std::string_view data, const Receiver* except = nullptr) {
    const Hub::Published published = hub.publish(topic, Opcode::kBinary, as_bytes(data), except);
    EXPECT_EQ(published.status, DeliveryStatus::kDelivered);
    return published.receivers;
  }

  FakeReceiverOwner owner;
  MemoryBudget memory{0};
  Hub hub;
  std::deque<FakeReceiver> receivers;
};

class DroppingHubTest : public HubTest {
 protected:
  DroppingHubTest() : HubTest(options()) {}
  static ContextOptions options() {
    ContextOptions made = options_with({"chat"});
    made.drops_when_full = true;
    return made;
  }
};

// --- Subprotocols ---

TEST_F(HubTest, FindsSubprotocolsByTheirNames) {
  EXPECT_EQ(hub.find("echo"), &hub.subprotocols()[1]);
  EXPECT_EQ(hub.index_of(*hub.find("echo")), 1U);
  EXPECT_EQ(hub.find("Echo"), nullptr);
  EXPECT_EQ(hub.find(""), nullptr);
}

// --- Who is there ---

TEST_F(HubTest, CountsWhoIsOpenAndWhoWas) {
  FakeReceiver& a = open();
  open();
  FakeReceiver& c = open(1);
  EXPECT_EQ(std::tuple(a.serial(), c.serial()), std::tuple(1U, 3U));
  EXPECT_EQ(&hub.subprotocol_of(c), &hub.subprotocols()[1]);
  hub.leave(a);
  const Subprotocol& chat = hub.subprotocols()[0];
  EXPECT_EQ(std::tuple(chat.open, chat.opened, chat.receivers.size()), std::tuple(1U, 2U, 2U));
  hub.remove(a);
  EXPECT_EQ(std::tuple(chat.open, chat.opened, chat.receivers.size()), std::tuple(1U, 2U, 1U));
}

TEST_F(HubTest, EndsTheSubscriptionsOfWhoLeaves) {
  FakeReceiver& a = open();
  hub.subscribe(a, "news");
  hub.subscribe(a, "weather");
  hub.leave(a);
  EXPECT_EQ(hub.topics().topic_count(), 0U);
  EXPECT_EQ(publish("news", "1"), 0U);
}

// --- Broadcasts ---

TEST_F(HubTest, BroadcastsToEveryReceiverOfTheSubprotocol) {
  FakeReceiver& a = open();
  FakeReceiver& b = open();
  FakeReceiver& other = open(1);
  EXPECT_EQ(broadcast("1"), DeliveryStatus::kDelivered);
  EXPECT_EQ(broadcast(""), DeliveryStatus::kDelivered);
  EXPECT_EQ(a.got, (Got{"t:1", "t:"}));
  EXPECT_EQ(b.got, (Got{"t:1", "t:"}));
  EXPECT_EQ(other.sends, 0);
}

TEST_F(HubTest, BroadcastsAsTheModeSays) {
  FakeReceiver& text = open();
  FakeReceiver& binary = open();
  FakeReceiver& callback = open();
  binary.set_broadcast_mode(BroadcastMode::kForwardBinary);
  callback.set_broadcast_mode(BroadcastMode::kCallback);
  broadcast("1");
  EXPECT_EQ(std::tuple(text.got, binary.got, callback.got), std::tuple(Got{"t:1"}, Got{"b:1"}, Got{"c:1"}));
  EXPECT_EQ(callback.sends, 0);
}

TEST_F(HubTest, ClosesWhoseCallbackFails) {
  FakeReceiver& callback = open();
  callback.set_broadcast_mode(BroadcastMode::kCallback);
  callback.callback = [] { return false; };
  FakeReceiver& next = open();
  broadcast("1");
  EXPECT_EQ(callback.failures, Codes{CloseCode::kInternalError});
  EXPECT_EQ(next.got, Got{"t:1"});
}

TEST_F(HubTest, DoesNotBroadcastToWhoOpensMeanwhile) {
  FakeReceiver& callback = open();
  callback.set_broadcast_mode(BroadcastMode::kCallback);
  callback.callback = [&] {
    open();
    return true;
  };
  FakeReceiver& last = open();
  broadcast("1");
  EXPECT_EQ(last.got, Got{"t:1"});
  EXPECT_EQ(receivers.back().got, Got{});
}

TEST_F(HubTest, BroadcastsFromWithinABroadcast) {
  FakeReceiver& callback = open();
  callback.set_broadcast_mode(BroadcastMode::kCallback);
  FakeReceiver& last = open();
  callback.callback = [&] {
    callback.callback = nullptr;
    broadcast("inner");
    return true;
  };
  broadcast("outer");
  EXPECT_EQ(callback.got, (Got{"c:outer", "c:inner"}));
  EXPECT_EQ(last.got, (Got{"t:inner", "t:outer"}));
}

// --- Topics ---

TEST_F(HubTest, PublishesToWhoIsSubscribed) {
  FakeReceiver& a = open();
  FakeReceiver& b = open(1);
  FakeReceiver& other = open();
  for (FakeReceiver* one : {&a, &b}) hub.subscribe(*one, "news");
  EXPECT_EQ(publish("news", "1"), 2U);
  EXPECT_EQ(publish("weather", "2"), 0U);
  EXPECT_TRUE(hub.unsubscribe(a, "news"));
  EXPECT_FALSE(hub.unsubscribe(a, "news"));
  EXPECT_EQ(publish("news", "3"), 1U);
  EXPECT_EQ(a.got, Got{"b:1"});
  EXPECT_EQ(b.got, (Got{"b:1", "b:3"}));
  EXPECT_EQ(other.sends, 0);
}

TEST_F(HubTest, PublishesAsTextOrBinaryWhateverTheMode) {
  FakeReceiver& a = open();
  hub.subscribe(a, "news");
  a.set_broadcast_mode(BroadcastMode::kCallback);
  hub.publish("news", Opcode::kText, as_bytes("1"));
  hub.publish("news", Opcode::kBinary, as_bytes("2"));
  EXPECT_EQ(a.got, (Got{"t:1", "b:2"}));
}

TEST_F(HubTest, LeavesOneOut) {
  FakeReceiver& a = open();
  FakeReceiver& b = open();
  for (FakeReceiver* one : {&a, &b}) hub.subscribe(*one, "news");
  EXPECT_EQ(publish("news", "1", &a), 1U);
  EXPECT_EQ(a.sends, 0);
  EXPECT_EQ(b.got, Got{"b:1"});
}

TEST_F(HubTest, CountsWhoHasTakenIt) {
  FakeReceiver& closed = open();
  FakeReceiver& full = open();
  FakeReceiver& takes = open();
  for (FakeReceiver* one : {&closed, &full, &takes}) hub.subscribe(*one, "news");
  closed.status = WriteStatus::kClosed;
  full.status = WriteStatus::kQueueFull;
  EXPECT_EQ(publish("news", "1"), 1U);
  EXPECT_EQ(closed.failures, Codes{});
  EXPECT_EQ(full.failures, Codes{CloseCode::kTryAgainLater});
  EXPECT_EQ(takes.got, Got{"b:1"});
}

TEST_F(DroppingHubTest, LeavesOutWhoHasNoRoom) {
  FakeReceiver& full = open();
  hub.subscribe(full, "news");
  full.status = WriteStatus::kQueueFull;
  EXPECT_EQ(publish("news", "1"), 0U);
  broadcast("2");
  EXPECT_EQ(full.sends, 2);
  EXPECT_EQ(full.failures, Codes{});
}

// --- When memory is short ---

TEST_F(HubTest, ThrowsWhenNobodyHasGotIt) {
  FakeReceiver& a = open();
  FakeReceiver& b = open();
  for (FakeReceiver* one : {&a, &b}) hub.subscribe(*one, "news");
  a.is_short_of_memory_before = true;
  EXPECT_THROW(publish("news", "1"), std::bad_alloc);
  EXPECT_THROW(broadcast("2"), std::bad_alloc);
  EXPECT_EQ(a.failures, Codes{});
  EXPECT_EQ(b.sends, 0);
}

TEST_F(HubTest, GivesUpWhoCannotHaveWhatOthersGot) {
  FakeReceiver& a = open();
  FakeReceiver& before = open();
  FakeReceiver& behind = open();
  FakeReceiver& last = open();
  for (FakeReceiver* one : {&a, &before, &behind, &last}) hub.subscribe(*one, "news");
  before.is_short_of_memory_before = true;
  behind.is_short_of_memory = true;
  EXPECT_EQ(publish("news", "1"), 2U);
  EXPECT_EQ(before.failures, Codes{CloseCode::kAbnormal});
  EXPECT_EQ(behind.failures, Codes{CloseCode::kAbnormal});
  EXPECT_EQ(std::tuple(a.got, last.got), std::tuple(Got{"b:1"}, Got{"b:1"}));
}

// --- Other processes ---

class FakeBackplane final : public Backplane {
 public:
  DeliveryStatus broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) override {
    sent.push_back(std::to_string(subprotocol) + ":" + std::string(as_text(data)));
    return status;
  }
  DeliveryStatus publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data) override {
    sent.push_back(std::string(topic) + (opcode == Opcode::kText ? ":t:" : ":b:") + std::string(as_text(data)));
    return status;
  }
  void finish() override {}

  std::vector<std::string> sent;
  DeliveryStatus status = DeliveryStatus::kForwarded;
};

TEST_F(HubTest, HandsWhatItSendsToTheBackplane) {
  FakeBackplane backplane;
  hub.set_backplane(&backplane);
  FakeReceiver& a = open(1);
  hub.subscribe(a, "news");
  EXPECT_EQ(broadcast("1", 1), DeliveryStatus::kForwarded);
  const Hub::Published published = hub.publish("news", Opcode::kText, as_bytes("2"));
  EXPECT_EQ(std::tuple(published.status, published.receivers), std::tuple(DeliveryStatus::kForwarded, 1U));
  EXPECT_EQ(backplane.sent, (Got{"1:1", "news:t:2"}));
  EXPECT_EQ(a.got, (Got{"t:1", "t:2"}));

  backplane.status = DeliveryStatus::kBusy;
  EXPECT_EQ(broadcast("3"), DeliveryStatus::kBusy);
  EXPECT_EQ(hub.publish("news", Opcode::kText, as_bytes("4")).status, DeliveryStatus::kBusy);
}

TEST_F(HubTest, SendsNothingThatIsTooLargeForTheBackplane) {
  FakeBackplane backplane;
  backplane.status = DeliveryStatus::kTooLarge;
  hub.set_backplane(&backplane);
  FakeReceiver& a = open(1);
  hub.subscribe(a, "news");
  EXPECT_EQ(broadcast("1", 1), DeliveryStatus::kTooLarge);
  const Hub::Published published = hub.publish("news", Opcode::kText, as_bytes("2"));
  EXPECT_EQ(std::tuple(published.status, published.receivers), std::tuple(DeliveryStatus::kTooLarge, 0U));
  EXPECT_EQ(a.got, Got{});
}

TEST_F(HubTest, AsksTheBackplaneFirst) {
  FakeBackplane backplane;
  hub.set_backplane(&backplane);
  FakeReceiver& a = open(0);
  a.set_broadcast_mode(BroadcastMode::kCallback);
  a.callback = [&] {
    hub.publish("news", Opcode::kText, as_bytes("2"));
    return true;
  };
  broadcast("1", 0);
  EXPECT_EQ(backplane.sent, (Got{"0:1", "news:t:2"}));
}

TEST_F(HubTest, DoesNotHandBackWhatComesFromThere) {
  FakeBackplane backplane;
  hub.set_backplane(&backplane);
  FakeReceiver& a = open();
  hub.subscribe(a, "news");
  hub.deliver(hub.subprotocols()[0], as_bytes("1"));
  EXPECT_EQ(hub.deliver("news", Opcode::kBinary, as_bytes("2")), 1U);
  EXPECT_EQ(a.got, (Got{"t:1", "b:2"}));
  EXPECT_EQ(backplane.sent, Got{});
}

// --- Other machines ---

class FakeCluster final : public ClusterBackplane {
 public:
  DeliveryStatus broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) override {
    sent.push_back(std::to_string(subprotocol) + ":" + std::string(as_text(data)));
    return status;
  }
  DeliveryStatus publish(std::string_view topic, Opcode /*opcode*/, std::span<const std::uint8_t> data,
                         const Receiver* except) override {
    sent.push_back(std::string(topic) + (except == nullptr ? ":" : ":but:") + std::string(as_text(data)));
    return status;
  }
  void on_subscribed(Subscriber& /*subscriber*/, std::string_view name, bool is_first) override {
    if (is_first) sent.push_back("+" + std::string(name));
  }
  void on_unsubscribed(Subscriber& /*subscriber*/, std::string_view name, bool is_last) override {
    if (is_last) sent.push_back("-" + std::string(name));
  }

  std::vector<std::string> sent;
  DeliveryStatus status = DeliveryStatus::kDelivered;
};

TEST_F(HubTest, HandsWhatItSendsToTheClusterToo) {
  FakeCluster cluster;
  FakeBackplane backplane;
  backplane.status = DeliveryStatus::kDelivered;
  hub.set_cluster(&cluster);
  hub.set_backplane(&backplane);
  FakeReceiver& a = open();
  hub.subscribe(a, "news");
  EXPECT_EQ(broadcast("1"), DeliveryStatus::kDelivered);
  EXPECT_EQ(publish("news", "2", &a), 0U);
  hub.leave(a);
  EXPECT_EQ(cluster.sent, (Got{"+news", "0:1", "news:but:2", "-news"}));
  EXPECT_EQ(backplane.sent, (Got{"0:1", "news:b:2"}));
  EXPECT_EQ(a.got, Got{"t:1"});
}

TEST_F(HubTest, DeliversHereWhenTheClusterIsAway) {
  FakeCluster cluster;
  cluster.status = DeliveryStatus::kLocalOnly;
  hub.set_cluster(&cluster);
  FakeReceiver& a = open();
  hub.subscribe(a, "news");
  EXPECT_EQ(broadcast("1"), DeliveryStatus::kLocalOnly);
  const Hub::Published published = hub.publish("news", Opcode::kText, as_bytes("2"));
  EXPECT_EQ(std::tuple(published.status, published.receivers), std::tuple(DeliveryStatus::kLocalOnly, 1U));
  EXPECT_EQ(a.got, (Got{"t:1", "t:2"}));
  hub.leave(a);
}

TEST_F(HubTest, LeavesTheDeliveryToTheCluster) {
  FakeCluster cluster;
  FakeBackplane backplane;
  hub.set_cluster(&cluster);
  hub.set_backplane(&backplane);
  FakeReceiver& a = open();
  hub.subscribe(a, "news");
  for (const DeliveryStatus status :
       {DeliveryStatus::kByCluster, DeliveryStatus::kClusterDown, DeliveryStatus::kTooLarge}) {
    cluster.status = status;
    EXPECT_EQ(broadcast("1"), status);
    const Hub::Published published = hub.publish("news", Opcode::kText, as_bytes("2"));
    EXPECT_EQ(std::tuple(published.status, published.receivers), std::tuple(status, 0U));
  }
  EXPECT_EQ(backplane.sent, Got{});
  EXPECT_EQ(a.got, Got{});
  hub.leave(a);
}

TEST_F(HubTest, DeliversToWhomIsNotLeftOut) {
  FakeReceiver& a = open();
  FakeReceiver& b = open();
  for (FakeReceiver* one : {&a, &b}) hub.subscribe(*one, "news");
  EXPECT_EQ(hub.deliver("news", Opcode::kText, as_bytes("1"), [&](const Receiver& one) { return &one == &a; }), 1U);
  const std::array<Receiver*, 1> receivers{&a};
  hub.deliver(receivers, Opcode::kBinary, as_bytes("2"));
  EXPECT_EQ(std::tuple(a.got, b.got), std::tuple(Got{"b:2"}, Got{"t:1"}));
}

}  // namespace
}  // namespace websockets
