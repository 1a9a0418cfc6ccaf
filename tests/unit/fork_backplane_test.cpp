// SPDX-License-Identifier: MIT
#include "cluster/fork_backplane.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "fake_receiver.h"
#include "forked.h"
#include "server/hub.h"
#include "server/options.h"

namespace websockets {
namespace {

constexpr std::uint64_t kLongMs = 600'000;  // nothing takes so long

class ForkBackplaneTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make(kLongMs)); }
  bool make(std::uint64_t busy_timeout_ms) {
    auto made = ForkBackplane::create(4096, busy_timeout_ms);
    if (made) backplane = std::move(*made);
    return backplane != nullptr;
  }
  // What the child does when it is told that there is something.
  bool deliver_next() {
    std::uint32_t tag;
    std::span<const std::uint8_t> message;
    if (!backplane->link().receive(tag, message)) return false;
    ForkBackplane::deliver(tag, message, hub);
    return true;
  }

  FakeHub fake;
  Hub& hub = fake.hub;
  std::unique_ptr<ForkBackplane> backplane;
};

TEST_F(ForkBackplaneTest, GivesBroadcastsToTheSubprotocol) {
  FakeReceiver chat;
  FakeReceiver echo;
  hub.join(chat, hub.subprotocols()[0]);
  hub.join(echo, hub.subprotocols()[1]);
  EXPECT_EQ(backplane->broadcast(1, as_bytes("1")), DeliveryStatus::kForwarded);
  EXPECT_EQ(backplane->broadcast(0, as_bytes("")), DeliveryStatus::kForwarded);
  EXPECT_TRUE(deliver_next());
  EXPECT_TRUE(deliver_next());
  EXPECT_FALSE(deliver_next());
  EXPECT_EQ(echo.got, FakeReceiver::Got{"t:1"});
  EXPECT_EQ(chat.got, FakeReceiver::Got{"t:"});
}

TEST_F(ForkBackplaneTest, GivesWhatIsPublishedToTheTopic) {
  FakeReceiver receiver;
  hub.join(receiver, hub.subprotocols()[0]);
  const std::string topics[] = {"news", "", std::string("\0\xff", 2)};
  for (const std::string& topic : topics) {
    hub.subscribe(receiver, topic);
    EXPECT_EQ(backplane->publish(topic, Opcode::kText, as_bytes("1")), DeliveryStatus::kForwarded);
    EXPECT_EQ(backplane->publish(topic, Opcode::kBinary, as_bytes("")), DeliveryStatus::kForwarded);
    EXPECT_EQ(backplane->publish(topic + "other", Opcode::kText, as_bytes("2")), DeliveryStatus::kForwarded);
    while (deliver_next()) {
    }
    EXPECT_EQ(receiver.got, (FakeReceiver::Got{"t:1", "b:"}));
    receiver.got.clear();
    hub.unsubscribe(receiver, topic);
  }
}

TEST_F(ForkBackplaneTest, IsBusyWhenNothingIsTaken) {
  ASSERT_TRUE(make(1));
  const std::string message(1000, 'x');
  DeliveryStatus status{};
  do {
    status = backplane->broadcast(0, as_bytes(message));
  } while (status == DeliveryStatus::kForwarded);
  EXPECT_EQ(status, DeliveryStatus::kBusy);
  EXPECT_EQ(backplane->publish("news", Opcode::kText, as_bytes(message)), DeliveryStatus::kBusy);
}

TEST_F(ForkBackplaneTest, DeliversInAForkedProcessUntilItIsFinished) {
  FakeReceiver receiver;
  hub.join(receiver, hub.subprotocols()[0]);
  hub.subscribe(receiver, "news");
  std::array<int, 2> report{};
  ASSERT_EQ(::pipe(report.data()), 0);
  const pid_t child = backplane->fork();
  if (child == 0) {
    run_in_child([&] {
      ForkLink& link = backplane->link();
      while (!link.ended()) {
        pollfd entry{link.fd(), POLLIN, 0};
        ::poll(&entry, 1, -1);
        link.drain();
        while (deliver_next()) {
        }
      }
      return receiver.got == FakeReceiver::Got{"t:1", "b:2"} && ::write(report[1], "!", 1) == 1;
    });
  }
  ASSERT_GT(child, 0);
  ::close(report[1]);
  hub.set_backplane(backplane.get());
  receiver.status = WriteStatus::kClosed;  // here it is given up
  EXPECT_EQ(hub.broadcast(hub.subprotocols()[0], as_bytes("1")), DeliveryStatus::kForwarded);
  EXPECT_EQ(hub.publish("news", Opcode::kBinary, as_bytes("2")).status, DeliveryStatus::kForwarded);
  backplane->finish();
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  char said = 0;
  EXPECT_EQ(::read(report[0], &said, 1), 1);
  ::close(report[0]);
}

TEST_F(ForkBackplaneTest, IsClosedWhenTheOtherProcessHasEnded) {
  const pid_t child = backplane->fork();
  if (child == 0) run_in_child([] { return true; });
  ASSERT_GT(child, 0);
  siginfo_t info{};
  EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(backplane->broadcast(0, as_bytes("1")), DeliveryStatus::kClosed);
  EXPECT_EQ(backplane->publish("news", Opcode::kText, as_bytes("1")), DeliveryStatus::kClosed);
  backplane->finish();
}

}  // namespace
}  // namespace websockets
