// SPDX-License-Identifier: MIT
#include "client/clients.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "client_fixture.h"

namespace websockets {
namespace {

class ClientsTest : public ClientFixture {
 protected:
  static WriteStatus say(Client& client, std::string_view text) {
    return client.send(Opcode::kText, true, as_bytes(text));
  }
};

TEST_F(ClientsTest, AreWalkedInTheirOrder) {
  Client& a = connect();
  Client& b = connect();
  EXPECT_EQ(clients().count(), 2U);
  EXPECT_EQ(clients().first(), &a);
  EXPECT_EQ(Clients::next(a), &b);
  EXPECT_EQ(Clients::next(b), nullptr);
  const Loop::Round round(loop());
  a.terminate();
  EXPECT_EQ(clients().first(), &b);
}

TEST_F(ClientsTest, CountTheirMessages) {
  Client& client = open();
  say(client, "a");
  far().say(server_text("b") + server_text("c") + server_close(1001));
  settle();
  EXPECT_EQ(clients().stats().messages_sent, 1U);
  EXPECT_EQ(clients().stats().messages_received, 2U);
  EXPECT_EQ(clients().stats().closed[1], 1U);
}

TEST_F(ClientsTest, TerminatingDropsWhatAClosedOneHasLeft) {
  Client& client = open();
  const int fd = client.descriptor();
  const std::uint32_t serial = client.connection_serial();
  const Loop::Round round(loop());
  client.close(CloseCode::kNormal, {});
  clients().terminate(fd, serial + 1);
  EXPECT_EQ(client.descriptor(), fd);
  clients().terminate(fd, serial);
  EXPECT_EQ(client.descriptor(), -1);
  clients().terminate(fd, serial);
  EXPECT_EQ(take_log(), (Log{"closed 1000"}));
}

TEST_F(ClientsTest, TerminatingSparesWhatHasTheDescriptorNow) {
  Client& first = open();
  const std::uint32_t serial = first.connection_serial();
  const int fd = first.descriptor();
  {
    const Loop::Round round(loop());
    first.terminate();
  }
  take_log();
  std::vector<Client*> others;
  while (others.empty() || others.back()->descriptor() != fd) others.push_back(&open());
  const Loop::Round round(loop());
  clients().terminate(fd, serial);
  EXPECT_EQ(take_log(), Log{});
}

TEST_F(ClientsTest, ShuttingDownClosesAll) {
  open();
  connect();
  {
    const Loop::Round round(loop());
    clients().shut_down(CloseCode::kGoingAway, "the end");
  }
  EXPECT_EQ(take_log(), (Log{"closed 1001 the end", "closed 1006 cancelled", "freed"}));
  EXPECT_EQ(clients().count(), 0U);
  settle();
  EXPECT_EQ(far().frames(), (Log{"close!:1001:the end"}));
  far().say(server_close(1001));
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"freed"}));
}

TEST_F(ClientsTest, DestroyingSendsWhatTheKernelTakes) {
  Client& client = open();
  {
    const Loop::Round round(loop());
    say(client, "last words");
    EXPECT_EQ(clients().destroy(), 0U);
    EXPECT_EQ(take_log(), (Log{"closed 1001"}));
  }
  EXPECT_EQ(take_log(), (Log{"freed"}));
  EXPECT_EQ(far().frames(), (Log{"text!:last words", "close!:1001:"}));
  EXPECT_TRUE(far().has_ended());
}

TEST_F(ClientsTest, DestroyingFinishesWhatWasClosed) {
  Client& client = open();
  {
    const Loop::Round round(loop());
    say(client, "last words");
    client.close(CloseCode::kNormal, "bye");
    EXPECT_EQ(clients().destroy(), 0U);
  }
  EXPECT_EQ(take_log(), (Log{"closed 1000 bye", "freed"}));
  EXPECT_EQ(far().frames(), (Log{"text!:last words", "close!:1000:bye"}));
  EXPECT_TRUE(far().has_ended());
}

TEST_F(ClientsTest, DestroyingTellsHowMuchWasNotSent) {
  Client& client = open();
  Client& waiting = connect();
  say(waiting, "never sent");
  const std::size_t waits = waiting.buffered_bytes();
  const std::vector<std::uint8_t> much(8U << 20U);
  const Loop::Round round(loop());
  client.send(Opcode::kBinary, true, much);
  const std::size_t left = client.buffered_bytes();
  EXPECT_GT(left, 0U);
  EXPECT_GE(clients().destroy(), left / 2 + waits);
  EXPECT_EQ(take_log(), (Log{"closed 1001", "closed 1006 cancelled"}));
}

// That was told when it ended.
TEST_F(ClientsTest, DestroyingDoesNotTellAgainWhatASilentServerHasNotTaken) {
  options.keepalive = {.ping_interval_ms = 5, .idle_timeout_ms = 15};
  Client& client = open();
  const std::vector<std::uint8_t> much(8U << 20U);
  {
    const Loop::Round round(loop());
    client.send(Opcode::kBinary, true, much);
  }
  await("closed 1001 nothing was received for too long timeout open");
  EXPECT_GE(client.descriptor(), 0);
  const Loop::Round round(loop());
  EXPECT_EQ(clients().destroy(), 0U);
}

TEST_F(ClientsTest, DestroyingInTheMidstOfAnAttempt) {
  dials.on_start = [](FakeDials::Dial&) {};
  connect();
  settle();
  {
    const Loop::Round round(loop());
    clients().destroy();
  }
  EXPECT_EQ(dials.alive, 0);
  EXPECT_EQ(take_log(), (Log{"closed 1006 cancelled", "freed"}));
}

TEST_F(ClientsTest, AbandoningTellsNobody) {
  Client& client = open();
  connect();
  settle();
  far().request();
  {
    const Loop::Round round(loop());
    say(client, "never sent");
    clients().abandon();
  }
  EXPECT_EQ(take_log(), (Log{"freed", "freed"}));
  EXPECT_EQ(dials.far[0].frames(), Log{});
  EXPECT_TRUE(dials.far[0].has_ended());
  EXPECT_TRUE(dials.far[1].has_ended());
  EXPECT_EQ(clients().count(), 0U);
}

TEST_F(ClientsTest, OneThatNobodyTakesIsFreedToo) {
  clients().connect(options, nullptr);
  dials.on_start = FakeDials::refuse;
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 refused tcp"}));
  EXPECT_EQ(clients().count(), 0U);
}

}  // namespace
}  // namespace websockets
