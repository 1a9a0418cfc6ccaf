// SPDX-License-Identifier: MIT
#include "server/connection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "connection_fixture.h"

namespace websockets {
namespace {

// Carried by nothing: what is fed is what came, and its queue is what was sent.
class FakeConnection final : public Connection {
 public:
  FakeConnection(ConnectionRules& its_rules, OutputPool& pool, const PeerAddress& peer)
      : Connection(its_rules, peer), pool_(pool) {
    http()->start();
  }
  ~FakeConnection() { queue_.clear(pool_); }
  FakeConnection(const FakeConnection&) = delete;
  FakeConnection& operator=(const FakeConnection&) = delete;

  using Connection::admit;
  using Connection::shed;

  Certificate peer_certificate() const override { return Certificate(); }
  int descriptor() const override { return -1; }
  OutputQueue& output() override { return queue_; }
  void output_added() override {}
  bool flush_now() override { return ++flushes < 3; }
  void reading_changed() override {}
  void receive_now() override {}
  void defer() override { is_deferred = true; }
  void set_deadline(std::uint64_t) override {}
  void cancel_deadline() override {}
  void end(End how) override {
    ends.push_back(how);
    is_open_ = false;
    if (http() != nullptr) http()->on_ended();
    if (how == End::kNow) queue_.clear(pool_);
    leave();
  }
  bool is_tls() const override { return is_in_handshake; }

  void feed(std::string_view text) {
    std::vector<std::uint8_t> bytes(text.begin(), text.end());
    std::span<std::uint8_t> input(bytes);
    while (!input.empty() && (http() != nullptr ? http()->takes_input() : session()->wants_input())) {
      Budget budget;
      http() != nullptr ? http()->consume(input, budget) : session()->receive(input, budget, 0);
    }
  }
  std::string sent() {
    std::string all;
    while (!queue_.empty()) {
      std::array<iovec, 1> part;
      queue_.gather(part, 1U << 20U);
      all.append(static_cast<const char*>(part[0].iov_base), part[0].iov_len);
      queue_.consume(pool_, part[0].iov_len);
    }
    return all;
  }

  std::vector<End> ends;
  int flushes = 0;
  bool is_in_handshake = false;
  bool is_abandoned = false;
  bool is_deferred = false;

 private:
  bool is_carried() const override { return is_open_; }
  bool is_in_tls_handshake() const override { return is_in_handshake; }
  void abandon_carrier() override {
    is_abandoned = true;
    is_open_ = false;
  }

  OutputPool& pool_;
  OutputQueue queue_;
  bool is_open_ = true;
};

class ConnectionTest : public ConnectionFixture {
 protected:
  using End = Carrier::End;
  using Ends = std::vector<End>;

  std::unique_ptr<FakeConnection> make() { return std::make_unique<FakeConnection>(rules, loop().output_pool(), peer); }
  std::unique_ptr<FakeConnection> make_websocket() {
    auto connection = make();
    connection->admit();
    connection->feed(kUpgradeRequest);
    EXPECT_TRUE(connection->sent().starts_with("HTTP/1.1 101"));
    EXPECT_EQ(take_log(), (Log{"open"}));
    return connection;
  }
};

TEST_F(ConnectionTest, IsFirstAnHttpExchange) {
  const auto connection = make();
  connection->admit();
  EXPECT_NE(connection->http(), nullptr);
  EXPECT_EQ(connection->session(), nullptr);
  EXPECT_FALSE(connection->is_open());
  EXPECT_FALSE(http_connections.empty());
  connection->feed("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(take_log(), (Log{"http /a"}));
  EXPECT_EQ(connection->buffered_bytes(), connection->output().bytes());
  EXPECT_TRUE(connection->sent().ends_with("hello"));
}

TEST_F(ConnectionTest, IsThenASession) {
  const auto connection = make_websocket();
  EXPECT_EQ(connection->http(), nullptr);
  EXPECT_NE(connection->session(), nullptr);
  EXPECT_TRUE(connection->is_open());
  EXPECT_TRUE(http_connections.empty());
  EXPECT_EQ(connection->serial(), 1U);
  EXPECT_EQ(open_websockets(), 1U);
  connection->feed(client_text("hi"));
  EXPECT_EQ(take_log(), (Log{"message:hi"}));
  EXPECT_EQ(connection->sent(), "\x81\x02hi");
}

TEST_F(ConnectionTest, AHandlerThatFailsWhenItOpensClosesIt) {
  handler.succeeds = false;
  const auto connection = make();
  connection->admit();
  connection->feed(kUpgradeRequest);
  EXPECT_EQ(take_log(), (Log{"open", "closed 1011:the handler failed"}));
  EXPECT_FALSE(connection->is_open());
  EXPECT_EQ(open_websockets(), 0U);
}

TEST_F(ConnectionTest, TakesAPlaceUntilItLeaves) {
  auto connection = make();
  connection->admit();
  EXPECT_EQ(admission.total(), 1U);
  connection->terminate();
  EXPECT_EQ(admission.total(), 0U);
  EXPECT_EQ(connection->ends, (Ends{End::kNow}));
  EXPECT_TRUE(connection->has_ended_in_http());
}

TEST_F(ConnectionTest, OneTooManyIsToldSoAndInTheTlsHandshakeOnlyEnded) {
  const auto first = make();
  const auto second = make();
  first->admit();
  second->admit();
  const auto third = make();
  third->admit();
  EXPECT_TRUE(third->sent().starts_with("HTTP/1.1 503"));
  EXPECT_NE(third->ends, (Ends{End::kNow}));
  const auto fourth = make();
  fourth->is_in_handshake = true;
  fourth->admit();
  EXPECT_EQ(fourth->sent(), "");
  EXPECT_EQ(fourth->ends, (Ends{End::kNow}));
  EXPECT_EQ(refused(RefusalReason::kConnections), 2U);
}

TEST_F(ConnectionTest, APeerThatAProxyTellsTakesThePlaceOfTheProxy) {
  const auto first = make();
  first->admit();
  const auto connection = make();
  connection->admit();
  const PeerAddress other = *PeerAddress::parse("192.0.2.2");
  EXPECT_TRUE(connection->set_peer(other));
  EXPECT_EQ(connection->peer(), other);
  EXPECT_EQ(admission.total(), 2U) << "as many as there may be";
}

TEST_F(ConnectionTest, APeerThatAProxyTellsMayBeRefused) {
  options.max_connections_per_address = 1;
  Admission strict(0, 1, options.trusted_proxies);
  ConnectionRules strict_rules{
      {options, stats, loop().output_pool(), strict, refusals, hub}, rules.session, handler, hub, http_connections};
  const PeerAddress other = *PeerAddress::parse("192.0.2.2");
  FakeConnection first(strict_rules, loop().output_pool(), other);
  first.admit();
  FakeConnection second(strict_rules, loop().output_pool(), peer);
  second.admit();
  EXPECT_FALSE(second.set_peer(other));
  EXPECT_TRUE(second.sent().starts_with("HTTP/1.1 429"));
  EXPECT_EQ(refused(RefusalReason::kAddress), 1U);
}

TEST_F(ConnectionTest, CloseAndTerminateOfHttp) {
  const auto closed = make();
  closed->close(CloseCode::kNormal, {});
  EXPECT_EQ(closed->ends, (Ends{End::kLinger}));
  const auto terminated = make();
  terminated->terminate();
  EXPECT_EQ(terminated->ends, (Ends{End::kNow}));
}

TEST_F(ConnectionTest, CloseOfAWebsocketIsToldOnce) {
  const auto connection = make_websocket();
  connection->close(CloseCode::kNormal, "bye");
  connection->close(CloseCode::kNormal, "again");
  EXPECT_EQ(take_log(), (Log{"closed 1000:bye"}));
  EXPECT_EQ(connection->sent(),
            "\x88\x05\x03\xE8"
            "bye");
  connection->terminate();
  EXPECT_EQ(connection->ends.back(), End::kNow) << "it is closed already, and ends now";
  EXPECT_EQ(take_log(), Log{});
}

TEST_F(ConnectionTest, AShutdownLetsARequestThatHasBegunBeAnswered) {
  const auto websocket = make_websocket();
  rules.server.is_shutting_down = true;
  const auto idle = make();
  idle->shut_down(CloseCode::kGoingAway, {});
  EXPECT_FALSE(idle->ends.empty());
  const auto begun = make();
  begun->feed("GET /a HT");
  begun->shut_down(CloseCode::kGoingAway, {});
  EXPECT_TRUE(begun->ends.empty());
  begun->feed("TP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(take_log(), (Log{"http /a"}));
  EXPECT_FALSE(begun->ends.empty());
  websocket->shut_down(CloseCode::kGoingAway, "end");
  EXPECT_EQ(take_log(), (Log{"closed 1001:end"}));
}

TEST_F(ConnectionTest, DestroySendsWhatThePeerTakesAtOnce) {
  const auto http = make();
  http->destroy();
  EXPECT_EQ(http->flushes, 3) << "as long as it takes more";
  EXPECT_EQ(http->ends, (Ends{End::kNow}));
  const auto websocket = make_websocket();
  websocket->destroy();
  EXPECT_EQ(take_log(), (Log{"closed 1001"}));
  EXPECT_EQ(websocket->ends, (Ends{End::kNow}));
}

TEST_F(ConnectionTest, AbandonTellsNobody) {
  const auto connection = make_websocket();
  connection->abandon();
  EXPECT_TRUE(connection->is_abandoned);
  EXPECT_EQ(open_websockets(), 0U);
  EXPECT_EQ(take_log(), Log{});
  EXPECT_TRUE(connection->output().empty());
}

TEST_F(ConnectionTest, OneThatIsShedIsToldSoUnlessOutputWaits) {
  const auto reads = make_websocket();
  reads->shed();
  EXPECT_EQ(take_log(), (Log{"closed 1013:the server is short of memory"}));
  EXPECT_TRUE(reads->sent().starts_with("\x88"));
  EXPECT_NE(reads->ends, (Ends{End::kNow}));
  const auto lags = make_websocket();
  lags->session()->send(Opcode::kText, true, as_bytes("waits"));
  lags->shed();
  EXPECT_EQ(take_log(), (Log{"closed 1013:the server is short of memory"}));
  EXPECT_EQ(lags->ends, (Ends{End::kNow}));
  EXPECT_EQ(refused(RefusalReason::kMemory), 2U);
}

}  // namespace
}  // namespace websockets
