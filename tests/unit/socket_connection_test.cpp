// SPDX-License-Identifier: MIT
#include "server/socket_connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <utility>

#include "connection_fixture.h"
#include "failing_allocations.h"

namespace websockets {
namespace {

// The other end of a connection.
class Client {
 public:
  Client(Loop& loop, ConnectionRules& rules, const PeerAddress& peer) {
    SocketPair pair = local_pair();
    far_ = std::move(pair.far);
    const Loop::Round round(loop);
    SocketConnection::adopt(loop, rules, Stream(std::move(pair.near)), peer);
  }

  int fd() const { return far_.get(); }
  void say(std::string_view text) { write_all(fd(), text); }
  void end() { ::shutdown(fd(), SHUT_WR); }
  void vanish() { far_.reset(); }
  // What has come and was not read yet; "(end)" behind it when there will be no more.
  std::string heard() const {
    std::string all;
    std::array<char, 65536> some;
    for (;;) {
      const ssize_t got = ::recv(fd(), some.data(), some.size(), MSG_DONTWAIT);
      if (got < 0) return all;
      if (got == 0) return all + "(end)";
      all.append(some.data(), static_cast<std::size_t>(got));
    }
  }

 private:
  UniqueFd far_;
};

class SocketConnectionTest : public ConnectionFixture {
 protected:
  // What is left ends as in Context::destroy(): a loop destroys no channels.
  void TearDown() override {
    loop().stop();
    const Loop::Round round(loop());
    const auto destroy_all = [](const ReceiverList& list) {
      for (Receiver* receiver = list.first(); receiver != nullptr; receiver = ReceiverList::next(*receiver)) {
        static_cast<Connection&>(*receiver).destroy();
      }
    };
    destroy_all(http_connections);
    destroy_all(hub.subprotocols()[0].receivers);
  }
  Client connect() { return {loop(), rules, peer}; }
  // One that is a websocket.
  Client open_websocket() {
    Client client = connect();
    client.say(kUpgradeRequest);
    settle();
    EXPECT_TRUE(client.heard().starts_with("HTTP/1.1 101"));
    EXPECT_EQ(take_log(), (Log{"open"}));
    return client;
  }
  Connection& connection() { return *handler.connection; }
  template <typename Function>
  void in_round(Function function) {
    const Loop::Round round(loop());
    function();
  }
};

// Each open websocket takes one.
TEST(SocketConnection, IsSmall) {
  if (sizeof(void*) == 8) {
    EXPECT_LE(sizeof(SocketConnection), 336U);
  }
}

TEST_F(SocketConnectionTest, AnswersRequestsUntilThePeerEnds) {
  Client client = connect();
  EXPECT_EQ(admission.total(), 1U);
  EXPECT_FALSE(http_connections.empty());
  client.say("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  settle();
  EXPECT_EQ(take_log(), (Log{"http /a", "http /b"}));
  const std::string heard = client.heard();
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(heard.ends_with("\r\n\r\nhello"));
  EXPECT_EQ(stats.http_requests, 2U);
  client.end();
  settle();
  EXPECT_EQ(take_log(), (Log{"freed"}));
  EXPECT_EQ(client.heard(), "(end)");
  EXPECT_EQ(admission.total(), 0U);
  EXPECT_TRUE(http_connections.empty());
}

TEST_F(SocketConnectionTest, EndsBehindAnAnswerThatIsTheLastOne) {
  Client client = connect();
  client.say("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  settle();
  EXPECT_TRUE(client.heard().ends_with("hello(end)"));
  client.say("is dropped");
  client.vanish();
  settle();
  EXPECT_EQ(take_log(), (Log{"http /a", "freed"}));
}

TEST_F(SocketConnectionTest, BecomesAWebsocketThatEchoes) {
  Client client = open_websocket();
  EXPECT_EQ(open_websockets(), 1U);
  EXPECT_TRUE(http_connections.empty());
  client.say(client_text("hi") + client_text("ho"));
  settle();
  EXPECT_EQ(take_log(), (Log{"message:hi", "message:ho"}));
  EXPECT_EQ(client.heard(), "\x81\x02hi\x81\x02ho");
  client.say(client_close());
  settle();
  EXPECT_EQ(client.heard(), "\x88\x02\x03\xE8(end)");
  client.vanish();
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1000", "freed"}));
  EXPECT_EQ(open_websockets(), 0U);
  EXPECT_EQ(admission.total(), 0U);
  EXPECT_EQ(loop().channel_count(), 0U);
}

TEST_F(SocketConnectionTest, MessagesBehindTheRequestAreNotLost) {
  Client client = connect();
  client.say(std::string(kUpgradeRequest) + client_text("early"));
  settle();
  EXPECT_EQ(take_log(), (Log{"open", "message:early"}));
}

TEST_F(SocketConnectionTest, ALongMessageComesWhole) {
  Client client = open_websocket();
  const std::string text(100'000, 'x');
  client.say(std::string("\x81\xFF\0\0\0\0\0\1\x86\xA0\0\0\0\0", 14));
  std::string_view left = text;
  while (!left.empty()) {
    client.say(left.substr(0, 10'000));
    left.remove_prefix(10'000);
    settle();
    if (!left.empty()) {
      EXPECT_GT(loop().memory().used(), 0U) << "what waits for the rest is counted";
    }
  }
  EXPECT_EQ(take_log(), (Log{"message:" + text}));
  client.heard();
  EXPECT_EQ(loop().memory().used(), 0U);
}

TEST_F(SocketConnectionTest, TheLocalCloseLingersForThePeer) {
  Client client = open_websocket();
  in_round([&] { connection().close(CloseCode::kNormal, "bye"); });
  EXPECT_EQ(take_log(), (Log{"closed 1000:bye"}));
  EXPECT_EQ(client.heard(),
            "\x88\x05\x03\xE8"
            "bye");
  client.say(client_text("too late") + client_close());
  client.end();
  settle();
  EXPECT_EQ(take_log(), (Log{"freed"}));
  EXPECT_EQ(client.heard(), "(end)");
}

TEST_F(SocketConnectionTest, ReadingThatIsOffKeepsMessagesForLater) {
  Client client = open_websocket();
  in_round([&] { connection().set_reading(false); });
  client.say(client_text("hi"));
  settle();
  EXPECT_EQ(take_log(), Log{});
  in_round([&] { connection().set_reading(true); });
  settle();
  EXPECT_EQ(take_log(), (Log{"message:hi"}));
}

TEST_F(SocketConnectionTest, APeerThatVanishesIsLost) {
  Client client = open_websocket();
  client.vanish();
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006", "freed"}));
}

TEST_F(SocketConnectionTest, TerminateDropsWhatIsQueued) {
  Client client = open_websocket();
  in_round([&] {
    connection().session()->send(Opcode::kText, true, as_bytes("dropped"));
    EXPECT_GT(connection().buffered_bytes(), 0U);
    connection().terminate();
    EXPECT_EQ(connection().descriptor(), -1);
    EXPECT_EQ(admission.total(), 0U) << "its place is free at once";
    EXPECT_EQ(take_log(), (Log{"closed 1006"}));
  });
  EXPECT_EQ(take_log(), (Log{"freed"}));
  EXPECT_EQ(client.heard(), "(end)");
}

TEST_F(SocketConnectionTest, DestroySaysSo) {
  Client client = open_websocket();
  in_round([&] { connection().destroy(); });
  EXPECT_EQ(take_log(), (Log{"closed 1001", "freed"}));
  EXPECT_EQ(client.heard(), "\x88\x02\x03\xE9(end)");
}

TEST_F(SocketConnectionTest, AbandonSaysNothingToAnybody) {
  Client client = open_websocket();
  const UniqueFd elsewhere(::dup(connection().descriptor()));
  in_round([&] { connection().abandon(); });
  EXPECT_EQ(take_log(), (Log{"freed"}));
  EXPECT_EQ(client.heard(), "");
  EXPECT_EQ(open_websockets(), 0U);
}

TEST_F(SocketConnectionTest, OneTooManyIsToldSo) {
  Client first = connect();
  Client second = connect();
  Client third = connect();
  third.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  settle();
  EXPECT_TRUE(third.heard().starts_with("HTTP/1.1 503"));
  EXPECT_EQ(refused(RefusalReason::kConnections), 1U);
  EXPECT_EQ(take_log(), Log{});
  first.vanish();
  third.vanish();
  settle();
  EXPECT_EQ(admission.total(), 1U);
}

TEST_F(SocketConnectionTest, ARequestThatDoesNotEndIsRefused) {
  options.handshake_timeout_ms = 1;
  Client client = connect();
  client.say("GET / HT");
  while (client.heard().find("408") == std::string::npos) loop().service(-1);
  EXPECT_EQ(refused(RefusalReason::kTimeout), 1U);
}

TEST_F(SocketConnectionTest, OneThatSaysNothingIsEnded) {
  options.handshake_timeout_ms = 1;
  const Client client = connect();
  while (loop().channel_count() > 0) loop().service(-1);
  EXPECT_EQ(client.heard(), "(end)");
}

TEST_F(SocketConnectionTest, TheOneThatHoldsMostMemoryIsShed) {
  Client client = open_websocket();
  client.say(std::string("\x81\xFF\0\0\0\0\0\1\x86\xA0\0\0\0\0partial", 21));
  settle();
  ASSERT_GT(loop().memory().used(), 0U);
  in_round([&] {
    auto* const channel = dynamic_cast<Channel*>(loop().find(connection().descriptor()));
    ASSERT_NE(channel, nullptr);
    channel->shed();
  });
  settle();
  EXPECT_EQ(take_log().front(), "closed 1013:the server is short of memory");
  EXPECT_EQ(refused(RefusalReason::kMemory), 1U);
  client.vanish();
  settle();
  EXPECT_EQ(loop().memory().used(), 0U);
}

TEST_F(SocketConnectionTest, AnswersInOrderWhenOneIsDeferred) {
  Client client = connect();
  handler.defers = true;
  client.say("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  settle();
  EXPECT_EQ(take_log(), (Log{"http /a"}));
  handler.defers = false;
  in_round([&] {
    ResponseHead head;
    connection().http()->respond(head, as_bytes("late"));
  });
  settle();
  EXPECT_EQ(take_log(), (Log{"http /b"}));
  const std::string heard = client.heard();
  EXPECT_LT(heard.find("late"), heard.find("hello"));
}

TEST_F(SocketConnectionTest, OneThatEndsBeforeItsDeferredAnswerIsGone) {
  Client client = connect();
  handler.defers = true;
  client.say("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  settle();
  client.end();
  settle();
  EXPECT_EQ(take_log(), (Log{"http /a", "freed"}));
}

TEST_F(SocketConnectionTest, WithoutMemoryThereIsNoConnection) {
  bool has_failed = true;
  for (std::size_t nth = 1; has_failed; ++nth) {
    SocketPair pair = local_pair();
    {
      const Loop::Round round(loop());
      const FailingAllocation failing(nth);
      try {
        SocketConnection::adopt(loop(), rules, Stream(std::move(pair.near)), peer);
      } catch (const std::bad_alloc&) {
      }
      has_failed = failing.has_failed();
    }
    if (has_failed) {
      EXPECT_EQ(loop().channel_count(), 0U);
      EXPECT_EQ(admission.total(), 0U);
      EXPECT_TRUE(http_connections.empty());
    }
    pair.far.reset();
    settle();
  }
  EXPECT_EQ(loop().channel_count(), 0U);
}

}  // namespace
}  // namespace websockets
