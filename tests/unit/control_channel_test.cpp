// SPDX-License-Identifier: MIT
#include "cluster/control_channel.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "loop_fixture.h"
#include "net/stream_socket.h"

namespace websockets {
namespace {

class ControlChannelTest : public LoopFixture, private ControlHandler {
 protected:
  ControlChannelTest() {
    Result<std::array<UniqueFd, 2>> ends = make_socket_pair("");
    EXPECT_TRUE(ends);
    supervisor.emplace(std::move((*ends)[0]), loop(), static_cast<ControlHandler&>(*this));
    worker.emplace(std::move((*ends)[1]), loop(), static_cast<ControlHandler&>(*this));
    EXPECT_TRUE(supervisor->open());
    EXPECT_TRUE(worker->open());
  }

  std::optional<ControlChannel> supervisor;
  std::optional<ControlChannel> worker;
  bool closes = false;

 private:
  void on_message(ControlChannel& channel, const ControlMessage& message) override {
    log.push_back((&channel == &*worker ? "worker: " : "supervisor: ") +
                  std::to_string(static_cast<unsigned>(message.kind)) + " " + std::to_string(message.number) + " " +
                  std::to_string(message.time_ms) + " " + message.text);
    if (closes) channel.close();
  }
  void on_end(ControlChannel& channel) override {
    log.emplace_back(&channel == &*worker ? "worker: end" : "supervisor: end");
  }
};

TEST_F(ControlChannelTest, CarriesMessagesBothWays) {
  supervisor->send({ControlMessage::Kind::kStop, 1001, 5'000'000'000});
  supervisor->send({ControlMessage::Kind::kReload});
  worker->send({ControlMessage::Kind::kFailed, 13, 0, "no database"});
  while (log.size() < 3) loop().service(-1);
  std::sort(log.begin(), log.end());
  EXPECT_EQ(log, (Log{"supervisor: 7 13 0 no database", "worker: 0 1001 5000000000 ", "worker: 2 0 0 "}));
}

TEST_F(ControlChannelTest, CutsATextThatIsTooLong) {
  worker->send({ControlMessage::Kind::kFailed, 0, 0, std::string(100'000, 'x')});
  worker->send({ControlMessage::Kind::kReady});
  while (log.size() < 2) loop().service(-1);
  EXPECT_EQ(log[0].size(), std::string("supervisor: 7 0 0 ").size() + ControlMessage::kMostText);
  EXPECT_EQ(log[1], "supervisor: 5 0 0 ");
}

TEST_F(ControlChannelTest, TellsTheEndBehindTheLastMessage) {
  supervisor->send({ControlMessage::Kind::kLeave, 3});
  supervisor->close();
  while (log.size() < 2) loop().service(-1);
  EXPECT_EQ(log, (Log{"worker: 4 3 0 ", "worker: end"}));
  worker->send({ControlMessage::Kind::kReady});  // does nothing
}

TEST_F(ControlChannelTest, TellsNothingOnceItWasClosed) {
  closes = true;
  supervisor->send({ControlMessage::Kind::kLeave, 1});
  supervisor->send({ControlMessage::Kind::kLeave, 2});
  settle();
  EXPECT_EQ(log, (Log{"worker: 4 1 0 ", "supervisor: end"}));
}

TEST_F(ControlChannelTest, NeverWaitsForTheOtherSide) {
  for (int i = 0; i < 10'000; ++i) {
    supervisor->send({ControlMessage::Kind::kFailed, static_cast<std::uint32_t>(i), 0, std::string(100, 'x')});
  }
  settle();
  EXPECT_GT(log.size(), 100U);
  EXPECT_LT(log.size(), 10'000U);
  EXPECT_EQ(log[0], "worker: 7 0 0 " + std::string(100, 'x'));
}

}  // namespace
}  // namespace websockets
