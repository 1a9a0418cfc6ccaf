// SPDX-License-Identifier: MIT
#include "client/client_connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "client/client_rules.h"
#include "client_fixture.h"
#include "net/tls_client_context.h"
#include "tls_server.h"

namespace websockets {
namespace {

// What is idle costs no more than a server's. On a 64-bit system.
static_assert(sizeof(void*) != 8 || sizeof(ClientConnection) <= 312);

class ClientConnectionTest : public LoopFixture, public ClientOpening, public ClientConnectionOwner {
 protected:
  ClientConnectionTest() { begin(); }
  ~ClientConnectionTest() override {
    loop().stop();  // what is put off until the next round is released, too
    const Loop::Round round(loop());
    for (ClientConnection* one = list.first(); one != nullptr; one = ClientConnectionList::next(*one)) {
      one->leave_owner();
      one->close();
    }
  }

  void begin() {
    SocketPair pair = local_pair();
    far.emplace(std::move(pair.far));
    begin(Stream(std::move(pair.near)));
  }
  void begin(Stream stream) {
    const Loop::Round round(loop());
    connection = &ClientConnection::begin(loop(), list, std::move(stream), "GET / HTTP/1.1\r\n\r\n", *this);
  }
  // It becomes a websocket when it hears this.
  void open() {
    far->say("yes.");
    settle();
    EXPECT_EQ(take_log(), (Log{"answer:yes."}));
    far->heard();
  }
  Session& session() { return *connection->session(); }
  std::string heard() {
    const std::string text = far->heard();
    return far->has_ended() ? text + "(end)" : text;
  }

  void on_answer(ClientConnection& its, std::span<const std::uint8_t>& input) override {
    const std::string text(as_text(input));
    const std::size_t end = text.find('.');
    const std::size_t taken = end == std::string::npos ? text.size() : end + 1;
    input = input.subspan(taken);
    log.push_back("answer:" + text.substr(0, taken));
    if (end == std::string::npos) return;
    its.open_websocket(rules, nullptr, *this);
    during_open();
  }
  void on_tls_refused(std::string why) override { log.push_back("TLS refused: " + why); }
  void on_answer_ended(bool is_orderly) override {
    log.emplace_back(is_orderly ? "answer ended" : "answer lost");
    connection = nullptr;
  }
  void on_ended(ClientConnection&, ClientEnd end, CloseCode code, std::string_view reason) override {
    constexpr std::array kNames = {"here", "peer", "failed", "unanswered", "lost"};
    std::string event =
        std::string(kNames[static_cast<std::size_t>(end)]).append(" ").append(std::to_string(static_cast<int>(code)));
    if (!reason.empty()) event.append(" ").append(reason);
    log.push_back(event);
  }
  void on_released(ClientConnection&) override {
    log.emplace_back("released");
    connection = nullptr;
  }

  // Messages are written down; what ends a session goes the way that it goes in earnest.
  class Messages final : public SessionHandler {
   public:
    explicit Messages(ClientConnectionTest& test) : test_(test) {}
    bool on_messages(Session&, MessageBatch& messages) override {
      MessageBatch::Message message;
      while (messages.next(message)) test_.log.push_back("message:" + std::string(as_text(message.payload)));
      return true;
    }
    bool on_chunk(Session&, MessageType, std::span<const std::uint8_t>, bool) override { return true; }
    bool on_pong(Session&, std::span<const std::uint8_t>) override { return true; }
    bool on_drained(Session&) override { return true; }
    void on_closed(Session& session, CloseCode code, std::string_view reason) override {
      static_cast<ClientConnection&>(session.carrier()).on_session_closed(code, reason);
    }

   private:
    ClientConnectionTest& test_;
  };

  Messages messages{*this};
  session_support::CountingKeys keys;
  ClientSessions sessions{loop(), keys, messages};
  std::shared_ptr<const ClientRules> rules = std::make_shared<const ClientRules>(sessions, limits());
  ClientConnectionList list;
  std::optional<FarEnd> far;
  ClientConnection* connection = nullptr;
  std::function<void()> during_open = [] {};

 protected:
  static constexpr std::uint64_t kIdleMs = 60'000;

 private:
  static ClientLimits limits() {
    ClientOptions options;
    options.close_timeout_ms = 30;
    options.keepalive = {.ping_interval_ms = 0, .idle_timeout_ms = kIdleMs};
    return ClientLimits(options);
  }
};

// --- Opening ---

TEST_F(ClientConnectionTest, SendsTheRequest) { EXPECT_EQ(heard(), "GET / HTTP/1.1\r\n\r\n"); }

// In TLS 1.3 the client is through when the server looks for its certificate.
TEST_F(ClientConnectionTest, TellsWhyTlsWasRefused) {
  TlsClientOptions options;
  options.verify = false;
  auto context = TlsClientContext::create(options);
  ASSERT_TRUE(context) << context.error().text;
  TlsServer server(MadeCertificate({"leaf", ""}));
  SSL_CTX_set_verify(server.context(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SocketPair pair = local_pair();
  make_nonblocking(pair.far.get());
  server.begin(pair.far.get());
  SslSession session = (*context)->new_session(pair.near.get(), "example.org", "");
  EXPECT_EQ(SSL_do_handshake(session.get()), -1);
  EXPECT_FALSE(server.shake_hands());
  EXPECT_EQ(SSL_do_handshake(session.get()), 1);
  begin(Stream(std::move(pair.near), std::move(session)));
  server.shake_hands();
  settle();
  EXPECT_EQ(take_log(), (Log{"TLS refused: TLS with 'example.org': tlsv13 alert certificate required", "answer lost"}));
}

TEST_F(ClientConnectionTest, HandsTheAnswerUpAsItComes) {
  far->say("ma");
  settle();
  far->say("ybe");
  settle();
  EXPECT_EQ(take_log(), (Log{"answer:ma", "answer:ybe"}));
}

TEST_F(ClientConnectionTest, WhatFollowsTheAnswerIsForTheSession) {
  during_open = [&] { log.emplace_back("open"); };
  far->say("yes." + server_text("a") + server_text("b"));
  settle();
  EXPECT_EQ(take_log(), (Log{"answer:yes.", "open", "message:a", "message:b"}));
}

TEST_F(ClientConnectionTest, WhatFollowsWaitsWhileReadingIsOff) {
  during_open = [&] { session().set_reading(false, 0); };
  far->say("yes." + server_text("a"));
  settle();
  EXPECT_EQ(take_log(), (Log{"answer:yes."}));
  {
    const Loop::Round round(loop());
    session().set_reading(true, loop().now_ms());
  }
  settle();
  EXPECT_EQ(take_log(), (Log{"message:a"}));
}

TEST_F(ClientConnectionTest, AnEndWithoutAnAnswerIsTold) {
  far->heard();
  far->close();
  settle();
  EXPECT_EQ(take_log(), (Log{"answer ended"}));
  EXPECT_TRUE(list.empty());
}

TEST_F(ClientConnectionTest, IsLostByAReset) {
  connection->leave_owner();
  {
    const Loop::Round round(loop());
    connection->close();
    SocketPair pair = tcp_pair();
    far.emplace(std::move(pair.far));
    connection = &ClientConnection::begin(loop(), list, Stream(std::move(pair.near)), "GET", *this);
  }
  far->reset();
  settle();
  EXPECT_EQ(take_log(), (Log{"answer lost"}));
}

TEST_F(ClientConnectionTest, NobodyIsToldOfOneThatWasLeft) {
  connection->leave_owner();
  far->say("yes.");
  settle();
  far->close();
  settle();
  EXPECT_EQ(take_log(), Log{});
  EXPECT_TRUE(list.empty());
}

// --- Open ---

TEST_F(ClientConnectionTest, IsAClientsSession) {
  open();
  session().send(Opcode::kText, true, as_bytes("hello"));
  settle();
  EXPECT_EQ(session_support::frames_in(as_bytes(heard())), (Log{"text!:hello"}));
  EXPECT_EQ(rules->session.role(), Role::kClient);
}

TEST_F(ClientConnectionTest, ThePeersCloseIsAnsweredAndItsEndAwaited) {
  open();
  far->say(server_close(1001, "bye"));
  settle();
  EXPECT_EQ(take_log(), (Log{"peer 1001 bye"}));
  EXPECT_EQ(session_support::frames_in(as_bytes(heard())), (Log{"close!:1001:"}));
  EXPECT_FALSE(far->has_ended());  // RFC 6455 7.1.1: the server ends first
  far->close();
  settle();
  EXPECT_EQ(take_log(), (Log{"released"}));
}

TEST_F(ClientConnectionTest, APeerThatClosesAndKeepsTheSocketOpenIsNotAwaitedForEver) {
  open();
  far->say(server_close(1000));
  settle();
  EXPECT_EQ(take_log(), (Log{"peer 1000"}));
  while (!list.empty()) loop().service(-1);
  EXPECT_EQ(take_log(), (Log{"released"}));
  far->heard();
  EXPECT_TRUE(far->has_ended());
}

TEST_F(ClientConnectionTest, APeerThatDoesNotAnswerACloseFrameIsNotAwaitedForEver) {
  open();
  session().send_close(CloseCode::kNormal, {});
  while (!list.empty()) loop().service(-1);
  EXPECT_EQ(take_log(), (Log{"unanswered 1006", "released"}));
}

TEST_F(ClientConnectionTest, ALocalCloseIsToldAtOnce) {
  open();
  session().close(CloseCode::kNormal, "bye");
  EXPECT_EQ(take_log(), (Log{"here 1000 bye"}));
  settle();
  EXPECT_EQ(session_support::frames_in(as_bytes(heard())), (Log{"close!:1000:bye"}));
  far->say(server_close(1000));
  far->close();
  settle();
  EXPECT_EQ(take_log(), (Log{"released"}));
}

TEST_F(ClientConnectionTest, APeerThatBreaksTheProtocolFails) {
  open();
  far->say({"\x81\x80\0\0\0\0", 6});  // masked
  settle();
  const Log log = take_log();
  ASSERT_EQ(log.size(), 1U);
  EXPECT_EQ(log[0].substr(0, 11), "failed 1002");
}

TEST_F(ClientConnectionTest, AnEndWithoutACloseFrameIsALoss) {
  open();
  far->close();
  settle();
  EXPECT_EQ(take_log(), (Log{"lost 1006", "released"}));
}

// --- A peer that takes its time ---

// What a peer has to take before it has taken all.
class ClientConnectionUpload : public ClientConnectionTest {
 protected:
  ClientConnectionUpload() {
    open();
    {
      // Much more than the kernel keeps.
      const std::vector<std::uint8_t> message(8U << 20U);
      const Loop::Round round(loop());
      session().send(Opcode::kBinary, true, message);
    }
    settle();
    EXPECT_GT(connection->output().bytes(), 0U);
    begin_ms_ = loop().now_ms();
  }
  void wait() {
    while (monotonic_ms() < begin_ms_ + 10) loop().idle_ms();
    loop().idle_ms();
  }
  // Too little for the kernel to have room again.
  void take_little() {
    std::array<char, 65536> some;
    EXPECT_GT(::recv(far->fd(), some.data(), some.size(), MSG_DONTWAIT), 0);
  }
  void on_deadline() { static_cast<ChannelHandler&>(*connection).on_deadline(); }
  // It is not, when nothing has come since wait().
  bool is_open_at_idle_timeout() {
    session().on_deadline(begin_ms_ + kIdleMs + 5, false);
    return session().is_open();
  }

 private:
  std::uint64_t begin_ms_ = 0;
};

TEST_F(ClientConnectionUpload, ThatStandsStillIsIdle) {
  wait();
  on_deadline();
  EXPECT_FALSE(is_open_at_idle_timeout());
}

TEST_F(ClientConnectionUpload, ItsProgressCountsAsLife) {
  wait();
  while (far->heard().empty() || loop().idle_ms() == 0) loop().service(0);
  loop().service(0);
  EXPECT_TRUE(is_open_at_idle_timeout());
}

TEST_F(ClientConnectionUpload, ItsProgressCountsWhereTheKernelTellsOfNone) {
  wait();
  take_little();
  on_deadline();
  EXPECT_TRUE(is_open_at_idle_timeout());
}

TEST_F(ClientConnectionUpload, ItsProgressPutsTheCloseTimeoutOff) {
  session().close(CloseCode::kNormal, {});
  take_log();
  take_little();
  on_deadline();
  EXPECT_FALSE(session().has_ended());
  for (int i = 0; i < 2; ++i) on_deadline();  // the first one may come too late to count
  EXPECT_TRUE(session().has_ended());
}

// --- Endings ---

TEST_F(ClientConnectionTest, DestroyingSendsWhatIsQueuedAndACloseFrame) {
  open();
  {
    const Loop::Round round(loop());
    session().send(Opcode::kText, true, as_bytes("last words"));
    EXPECT_EQ(connection->destroy(), 0U);
    EXPECT_EQ(connection->destroy(), 0U);
  }
  EXPECT_EQ(take_log(), (Log{"lost 1001", "released"}));
  EXPECT_EQ(session_support::frames_in(as_bytes(far->heard())), (Log{"text!:last words", "close!:1001:"}));
  EXPECT_TRUE(far->has_ended());
}

TEST_F(ClientConnectionUpload, DestroyingTellsWhatCouldNotBeSent) {
  const Loop::Round round(loop());
  EXPECT_GT(connection->destroy(), 0U);
}

void wait_for(int fd, short events) {
  pollfd waited{.fd = fd, .events = events, .revents = 0};
  EXPECT_EQ(::poll(&waited, 1, -1), 1);
}

// What has come and was not read would make the kernel send a reset, which takes from the peer what it has not read.
TEST_F(ClientConnectionTest, DestroyingDropsWhatHasCome) {
  int near = -1;
  {
    const Loop::Round round(loop());
    connection->leave_owner();
    connection->close();
    SocketPair pair = tcp_pair();
    near = pair.near.get();
    far.emplace(std::move(pair.far));
    connection = &ClientConnection::begin(loop(), list, Stream(std::move(pair.near)), "GET", *this);
  }
  open();
  {
    const Loop::Round round(loop());
    session().send(Opcode::kText, true, as_bytes("last words"));
    far->say(server_text("unread"));
    wait_for(near, POLLIN);  // TCP takes its time where the machine is busy
    connection->destroy();
  }
  wait_for(far->fd(), POLLRDHUP);
  EXPECT_EQ(session_support::frames_in(as_bytes(far->heard())), (Log{"text!:last words", "close!:1001:"}));
  EXPECT_TRUE(far->has_ended());
}

TEST_F(ClientConnectionTest, AbandoningSaysNothing) {
  open();
  {
    const Loop::Round round(loop());
    session().send(Opcode::kText, true, as_bytes("never sent"));
    connection->abandon();
  }
  EXPECT_EQ(take_log(), (Log{"released"}));
  EXPECT_EQ(heard(), "(end)");
}

TEST_F(ClientConnectionTest, IsShedWhenMemoryIsShort) {
  open();
  {
    const Loop::Round round(loop());
    static_cast<ChannelHandler&>(*connection).on_shed();
  }
  EXPECT_EQ(take_log(), (Log{"failed 1013 memory is short"}));
}

TEST_F(ClientConnectionTest, IsShedBeforeItIsOpen) {
  {
    const Loop::Round round(loop());
    static_cast<ChannelHandler&>(*connection).on_shed();
  }
  EXPECT_EQ(take_log(), (Log{"answer lost"}));
}

}  // namespace
}  // namespace websockets
