// SPDX-License-Identifier: MIT
#include "client/client_attempt.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "client_fixture.h"

namespace websockets {
namespace {

class ClientAttemptTest : public LoopFixture, public ClientAttemptOwner, public ClientConnectionOwner {
 protected:
  ClientAttemptTest() {
    options.url = "ws://example.org/feed";
    options.proxy_use = ClientOptions::ProxyUse::kNone;
  }
  ~ClientAttemptTest() override {
    const Loop::Round round(loop());
    attempt.abort();
    for (ClientConnection* one = connections.first(); one != nullptr; one = ClientConnectionList::next(*one)) {
      one->leave_owner();
      one->close();
    }
  }

  void start(std::uint64_t wait_ms = 60'000) {
    const Loop::Round round(loop());
    attempt.start({options.url, options.opening.headers}, monotonic_ms() + wait_ms);
  }
  // Up to the answer.
  void begin() {
    start();
    settle();
  }
  void answer(std::string_view text) {
    far().say(text);
    settle();
  }
  FarEnd& far() { return dials.far.back(); }
  Log told() { return take_log(); }
  static SocketAddress literal(const std::string& address) { return (*interface_addresses(address, 0))[0]; }

  void on_answered(ClientConnection& connection, ClientAnswer answer) override {
    log.emplace_back("open");
    response = std::move(answer.response);
    has_compression = answer.compression != nullptr;
    connection.open_websocket(std::move(answer.rules), std::move(answer.compression), *this);
  }
  void on_attempt_failed(const ClientFailure& its_failure, std::optional<double> its_retry_after) override {
    failure = its_failure;
    retry_after = its_retry_after;
    log.push_back(std::string(name_of(failure.kind)).append(" ").append(name_of(failure.phase)));
  }
  void on_ended(ClientConnection&, ClientEnd, CloseCode, std::string_view) override { log.emplace_back("ended"); }
  void on_released(ClientConnection&) override {}

  ClientOptions options;
  FakeDials dials;
  FakeClientHandler handler{log};
  session_support::CountingKeys keys;
  ClientSessions sessions{loop(), keys, handler};
  ClientRulesPool rules{sessions};
  ClientConnectionList connections;
  AttemptServices services{loop(), dials, keys, rules, connections};
  ClientAttempt attempt{services, options, *this};
  ClientResponse response;
  bool has_compression = false;
  ClientFailure failure;
  std::optional<double> retry_after;
};

// --- The request ---

TEST_F(ClientAttemptTest, SendsTheRequestThatTheOptionsSay) {
  options.url = "ws://user:secret@example.org:8080/feed?x=1";
  options.opening.protocols = {"a", "b"};
  options.opening.headers = {{"X-Api-Key", "key"}};
  options.compression.emplace();
  begin();
  EXPECT_EQ(far().request().substr(0, far().request().find('\r')), "GET /feed?x=1 HTTP/1.1");
  EXPECT_EQ(far().header("Host"), "example.org:8080");
  EXPECT_EQ(far().header("Sec-WebSocket-Protocol"), "a, b");
  EXPECT_EQ(far().header("X-Api-Key"), "key");
  EXPECT_EQ(far().header("Authorization"), "Basic dXNlcjpzZWNyZXQ=");
  EXPECT_EQ(far().header("Sec-WebSocket-Extensions").substr(0, 18), "permessage-deflate");
  EXPECT_EQ(dials.targets[0].host, "example.org");
  EXPECT_EQ(dials.targets[0].port, 8080);
  EXPECT_FALSE(dials.targets[0].is_tls);
}

TEST_F(ClientAttemptTest, ConnectsWhereTheOptionsSay) {
  options.url = "wss://example.org/";
  options.address = literal("192.0.2.7");
  options.interface = "lo";
  options.tls.server_name = "other.example";
  begin();
  EXPECT_TRUE(dials.targets[0].is_tls);
  EXPECT_EQ(dials.targets[0].address->text(), "192.0.2.7:443");
  EXPECT_EQ(dials.targets[0].interface, "lo");
  EXPECT_EQ(dials.targets[0].tls.server_name, "other.example");
}

TEST_F(ClientAttemptTest, AUnixSocketIsOfTheUrlOrOfTheOptions) {
  options.url = "ws+unix:/run/a.sock:/feed";
  begin();
  EXPECT_EQ(dials.targets[0].unix_path, "/run/a.sock");
  attempt.abort();
  options.unix_path = "/run/b.sock";
  begin();
  EXPECT_EQ(dials.targets[1].unix_path, "/run/b.sock");
}

TEST_F(ClientAttemptTest, TheProxyIsTheGivenOneOrThatOfTheEnvironment) {
  ASSERT_EQ(::setenv("ws_proxy", "http://proxy.example:3128", 1), 0);
  options.proxy_use = ClientOptions::ProxyUse::kEnvironment;
  begin();
  EXPECT_EQ(dials.targets.back().proxy.host, "proxy.example");
  attempt.abort();
  options.address = literal("192.0.2.7");
  begin();
  EXPECT_FALSE(dials.targets.back().proxy);
  attempt.abort();
  options.proxy = *parse_proxy("socks5h://other.example");
  options.proxy_use = ClientOptions::ProxyUse::kGiven;
  begin();
  EXPECT_EQ(dials.targets.back().proxy.host, "other.example");
  attempt.abort();
  options.proxy_use = ClientOptions::ProxyUse::kNone;
  begin();
  EXPECT_FALSE(dials.targets.back().proxy);
  attempt.abort();
  options.proxy_use = ClientOptions::ProxyUse::kEnvironment;
  options.address.reset();
  begin();
  answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(failure.address, "192.0.2.1:80");
  take_log();
  ASSERT_EQ(::setenv("ws_proxy", "ftp://proxy.example", 1), 0);
  begin();
  EXPECT_EQ(told(), Log{"proxy proxy"});
  EXPECT_EQ(failure.address, "");  // not that of the attempt before
  ::unsetenv("ws_proxy");
}

TEST_F(ClientAttemptTest, AUrlThatIsNoneFails) {
  options.url = "ftp://user:secret@example.org";
  begin();
  EXPECT_EQ(told(), Log{"cancelled "});
  EXPECT_TRUE(failure.is_final);
  EXPECT_EQ(failure.message.find("secret"), std::string::npos);
  EXPECT_TRUE(dials.targets.empty());
}

// --- The answer ---

TEST_F(ClientAttemptTest, OpensWhenTheAnswerIsGood) {
  options.url = "ws://user:secret@example.org/feed";
  options.opening.protocols = {"a", "b"};
  begin();
  answer(far().grant("Sec-WebSocket-Protocol: b\r\nX-More: yes\r\n"));
  EXPECT_EQ(told(), Log{"open"});
  EXPECT_EQ(response.url(), "ws://example.org/feed");
  EXPECT_EQ(response.head().status(), 101);
  EXPECT_EQ(response.head().header("x-more"), "yes");
  EXPECT_EQ(response.protocol(), "b");
  EXPECT_FALSE(has_compression);
}

TEST_F(ClientAttemptTest, CompressionIsWhatWasAgreedUpon) {
  options.compression.emplace();
  begin();
  answer(far().grant("Sec-WebSocket-Extensions: permessage-deflate\r\n"));
  EXPECT_EQ(told(), Log{"open"});
  EXPECT_TRUE(has_compression);
}

TEST_F(ClientAttemptTest, InterimAnswersAreSkipped) {
  begin();
  answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + far().grant());
  EXPECT_EQ(told(), Log{"open"});
}

TEST_F(ClientAttemptTest, AnAnswerMaySplitAnywhere) {
  begin();
  const std::string good = far().grant("X-More: yes\r\n");
  attempt.abort();
  for (std::size_t at = 1; at < good.size(); ++at) {
    keys = {};  // the same ones once more
    begin();
    answer(good.substr(0, at));
    EXPECT_EQ(told(), Log{}) << at;
    answer(good.substr(at));
    EXPECT_EQ(told(), Log{"open"}) << at;
  }
}

struct BadAnswer {
  std::string name;
  std::string text;
  std::string failure;
};

class ClientAttemptBadAnswer : public ClientAttemptTest, public testing::WithParamInterface<BadAnswer> {};

TEST_P(ClientAttemptBadAnswer, Fails) {
  begin();
  answer(GetParam().text);
  EXPECT_EQ(told(), Log{GetParam().failure});
  EXPECT_NE(failure.message.find("example.org: "), std::string::npos) << failure.message;
  EXPECT_EQ(failure.address, "192.0.2.1:80");
  settle();
  far().heard();
  EXPECT_TRUE(far().has_ended());
  EXPECT_TRUE(connections.empty());
}

const std::string kSwitch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n";
INSTANTIATE_TEST_SUITE_P(
    All, ClientAttemptBadAnswer,
    testing::Values(BadAnswer{"WithoutUpgrade", kSwitch + "Sec-WebSocket-Accept: x\r\n\r\n", "handshake http"},
                    BadAnswer{"WrongAccept", kSwitch + "Upgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
                              "handshake http"},
                    BadAnswer{"HeadersOverTheLimit", kSwitch + "X: " + std::string(20'000, 'x'), "handshake http"},
                    BadAnswer{"NoHttp", "220 smtp.example.org ESMTP\r\n\r\n", "handshake http"},
                    BadAnswer{"Ok", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "http http"},
                    BadAnswer{"Redirect", "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
                              "http http"}),
    [](const auto& its) { return its.param.name; });

TEST_F(ClientAttemptTest, AProtocolThatWasNotOfferedFails) {
  options.opening.protocols = {"a"};
  begin();
  answer(far().grant("Sec-WebSocket-Protocol: b\r\n"));
  EXPECT_EQ(told(), Log{"handshake http"});
}

TEST_F(ClientAttemptTest, CompressionThatWasNotOfferedFails) {
  begin();
  answer(far().grant("Sec-WebSocket-Extensions: permessage-deflate\r\n"));
  EXPECT_EQ(told(), Log{"handshake http"});
}

TEST_F(ClientAttemptTest, ARefusalIsToldWithItsBody) {
  begin();
  answer("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 11\r\n\r\nno ");
  EXPECT_EQ(told(), Log{});
  answer("entrance");
  EXPECT_EQ(told(), Log{"http http"});
  EXPECT_EQ(failure.answer.status(), 401);
  EXPECT_EQ(failure.answer.header("www-authenticate"), "Basic");
  EXPECT_EQ(failure.body, "no entrance");
  EXPECT_TRUE(failure.is_final);
}

TEST_F(ClientAttemptTest, ARefusalMayEndWithTheConnection) {
  begin();
  far().request();
  answer("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\nlater");
  EXPECT_EQ(told(), Log{});
  far().close();
  settle();
  EXPECT_EQ(told(), Log{"http http"});
  EXPECT_EQ(failure.body, "later");
  EXPECT_EQ(retry_after, 7);
  EXPECT_FALSE(failure.is_final);
}

TEST_F(ClientAttemptTest, AnEndlessBodyIsNotWaitedFor) {
  begin();
  far().say("HTTP/1.1 403 Forbidden\r\n\r\n");
  const std::string some(16U << 10U, 'x');
  while (log.empty()) {
    far().say(some);
    settle();
  }
  EXPECT_EQ(told(), Log{"http http"});
  EXPECT_EQ(failure.body.size(), 64U << 10U);
}

TEST_F(ClientAttemptTest, ARefusalWhoseBodyTricklesIsToldAtTheDeadline) {
  start(20);
  loop().service(0);
  far().say("HTTP/1.1 403 Forbidden\r\n\r\nno");
  while (log.empty()) {
    far().say("o");
    loop().service(1);
  }
  EXPECT_EQ(told(), Log{"http http"});
  EXPECT_EQ(failure.answer.status(), 403);
  EXPECT_EQ(failure.body.substr(0, 3), "noo");
}

TEST_F(ClientAttemptTest, AnEndBeforeTheAnswerIsALoss) {
  begin();
  far().request();
  answer("HTTP/1.1 101 Swi");
  far().close();
  settle();
  EXPECT_EQ(told(), Log{"lost http"});
}

TEST_F(ClientAttemptTest, AReset) {
  begin();
  far().close();  // with the request unread
  settle();
  EXPECT_EQ(told(), Log{"lost http"});
}

// --- Redirects ---

TEST_F(ClientAttemptTest, RedirectsAreFollowed) {
  options.redirects = 1;
  options.opening.headers = {{"X-Api-Key", "key"}};
  begin();
  answer("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
  ASSERT_EQ(dials.targets.size(), 2U);
  EXPECT_EQ(told(), Log{});
  EXPECT_EQ(far().request().substr(0, 10), "GET /other");
  EXPECT_EQ(far().header("X-Api-Key"), "key");
  answer(far().grant());
  EXPECT_EQ(told(), Log{"open"});
  EXPECT_EQ(response.url(), "ws://example.org/other");
}

TEST_F(ClientAttemptTest, NoMoreRedirectsThanTheOptionsSay) {
  options.redirects = 1;
  begin();
  answer("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
  answer("HTTP/1.1 302 Found\r\nLocation: /c\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(told(), Log{"http http"});
  EXPECT_EQ(failure.answer.status(), 302);
  EXPECT_TRUE(failure.is_final);
}

// Once it was elsewhere, nothing of what was meant for the first origin is sent, not to that one either.
TEST_F(ClientAttemptTest, AnotherOriginIsToldNothingThatIsForTheFirst) {
  options.redirects = 2;
  options.url = "wss://user:secret@example.org/";
  options.address = literal("192.0.2.7");
  options.tls.pinned_keys = {"sha256//AAAA"};
  options.tls.server_name = "inner.example";
  options.opening.headers = {{"Authorization", "Bearer token"}, {"X-Api-Key", "key"}};
  options.opening.cookies = {{"session", "1"}};
  options.opening.host = "inner.example";
  begin();
  EXPECT_EQ(far().header("X-Api-Key"), "key");
  EXPECT_EQ(far().header("Host"), "inner.example");
  for (const std::string where : {"https://elsewhere.example/", "wss://example.org/back"}) {
    answer("HTTP/1.1 307 Temporary Redirect\r\nLocation: " + where + "\r\nContent-Length: 0\r\n\r\n");
    for (const std::string name : {"Authorization", "X-Api-Key", "Cookie"}) EXPECT_EQ(far().header(name), "") << name;
    const DialTarget& target = dials.targets.back();
    EXPECT_EQ(far().header("Host"), target.host);
    EXPECT_FALSE(target.address);
    EXPECT_TRUE(target.tls.pinned_keys.empty());
    EXPECT_EQ(target.tls.server_name, "");
    EXPECT_TRUE(target.tls.verify);
  }
  EXPECT_EQ(dials.targets[1].host, "elsewhere.example");
  EXPECT_EQ(dials.targets[2].host, "example.org");
}

// --- Time ---

class ClientAttemptSilence : public ClientAttemptTest, public testing::WithParamInterface<FailurePhase> {};

TEST_P(ClientAttemptSilence, EndsAtTheDeadline) {
  dials.phase = GetParam();
  if (GetParam() != FailurePhase::kHttp) {
    dials.on_start = [](FakeDials::Dial&) {};
  }
  start(5);
  while (log.empty()) loop().service(-1);
  EXPECT_EQ(told(), Log{std::string("timeout ").append(name_of(GetParam()))});
  EXPECT_NE(failure.message.find("example.org"), std::string::npos);
  EXPECT_EQ(failure.address, GetParam() != FailurePhase::kHttp ? "192.0.2.9:80" : "192.0.2.1:80");
  EXPECT_EQ(dials.alive, 0);
  settle();
  EXPECT_TRUE(connections.empty());
}

INSTANTIATE_TEST_SUITE_P(Phases, ClientAttemptSilence,
                         testing::Values(FailurePhase::kName, FailurePhase::kTcp, FailurePhase::kProxy,
                                         FailurePhase::kTls, FailurePhase::kHttp),
                         [](const auto& its) { return std::string(name_of(its.param)); });

TEST_F(ClientAttemptTest, AnAnswerThatTricklesEndsAtTheDeadline) {
  start(20);
  loop().service(0);
  far().say("HTTP/1.1 101 ");
  while (log.empty()) {
    far().say("x");
    loop().service(1);
  }
  EXPECT_EQ(told(), Log{"timeout http"});
}

TEST_F(ClientAttemptTest, NoRedirectIsFollowedAtTheDeadline) {
  options.redirects = 1;
  start(10);
  far().say("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 100\r\n\r\nit goes on");
  while (log.empty() && dials.targets.size() == 1) loop().service(-1);
  EXPECT_EQ(told(), (Log{"timeout http"}));
  EXPECT_EQ(dials.targets.size(), 1U);
}

// Who was not served cannot have been too slow.
TEST_F(ClientAttemptTest, ADeadlineThatIsLongPastIsPutOffOnce) {
  const Loop::Round round(loop());
  for (int count = 0; count < 2; ++count) {
    attempt.start({options.url, {}}, monotonic_ms() - 2000);
    loop().service(0);
    EXPECT_EQ(told(), Log{});
    far().open();
    settle();
    EXPECT_EQ(told(), Log{"open"});
  }
}

// --- Breaking off ---

TEST_F(ClientAttemptTest, ADialThatFailsIsTold) {
  dials.on_start = FakeDials::refuse;
  start();
  EXPECT_EQ(told(), Log{"refused tcp"});
  EXPECT_EQ(failure.message, "refused");
  EXPECT_EQ(dials.alive, 0);
}

TEST_F(ClientAttemptTest, AbortingTellsNobody) {
  dials.on_start = [](FakeDials::Dial&) {};
  start();
  EXPECT_EQ(dials.alive, 1);
  attempt.abort();
  EXPECT_EQ(dials.alive, 0);
  dials.on_start = FakeDials::connect;
  begin();
  {
    const Loop::Round round(loop());
    attempt.abort();
  }
  settle();
  far().heard();
  EXPECT_TRUE(far().has_ended());
  EXPECT_EQ(told(), Log{});
  begin();  // once more
  answer(far().grant());
  EXPECT_EQ(told(), Log{"open"});
}

}  // namespace
}  // namespace websockets
