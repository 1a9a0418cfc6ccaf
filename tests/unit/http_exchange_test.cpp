// SPDX-License-Identifier: MIT
#include "server/http_exchange.h"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "http/cost.h"
#include "http_exchange_fixture.h"

namespace websockets {
namespace {

using Ends = std::vector<Carrier::End>;
using End = Carrier::End;
using Status = PendingUpgrade::Status;

const std::string kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const std::string kSwitching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

std::string text_answer(std::string_view status, std::string_view text, bool is_last = false) {
  return std::string("HTTP/1.1 ")
             .append(status)
             .append("\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ") +
         std::to_string(text.size() + 1) + (is_last ? "\r\nConnection: close" : "") + "\r\n\r\n" + std::string(text) +
         "\n";
}

// To respond_with(body), for a HEAD request without it.
std::string ok(std::string_view body, std::size_t size) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(body);
}
std::string ok(std::string_view body) { return ok(body, body.size()); }

class BehindProxyTest : public HttpExchangeTest {
 protected:
  void start(bool expects_header) {
    EXPECT_TRUE(options.trusted_proxies.add("192.0.2.0/24"));
    options.expects_proxy_header = expects_header;
    restart();
  }
};

// --- Requests and answers ---

TEST_F(HttpExchangeTest, AnswersARequest) {
  carrier.on_request = respond_with("hello");
  feed(kGet);
  EXPECT_EQ(carrier.requests, std::vector<std::string>{"/a"});
  EXPECT_EQ(carrier.sent(), ok("hello"));
  EXPECT_TRUE(carrier.ends.empty());
  EXPECT_TRUE(exchange().takes_input());
  EXPECT_EQ(stats.http_requests, 1U);
}

TEST_F(HttpExchangeTest, AnswersARequestThatComesByteByByte) {
  carrier.on_request = respond_with("hello");
  for (const char& byte : kGet) feed({&byte, 1});
  EXPECT_EQ(carrier.sent(), ok("hello"));
}

TEST_F(HttpExchangeTest, AnswersPipelinedRequestsOneAfterTheOther) {
  carrier.on_request = respond_with("hello");
  std::string input = kGet + kGet + kGet.substr(0, 10);
  feed(input);
  EXPECT_EQ(carrier.requests.size(), 2U);
  EXPECT_EQ(carrier.sent(), ok("hello") + ok("hello"));
  feed(kGet.substr(10));
  EXPECT_EQ(carrier.requests.size(), 3U);
}

TEST_F(HttpExchangeTest, AHeadRequestIsAnsweredWithoutTheBody) {
  carrier.on_request = respond_with("hello");
  feed("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(carrier.sent(), ok("", 5));
}

TEST_F(HttpExchangeTest, TheContentBelongsToTheRequest) {
  std::string body;
  carrier.on_request = [&](const Request& request) {
    body = request.body();
    return respond_with("hello")(request);
  };
  feed("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(carrier.sent(), "HTTP/1.1 100 Continue\r\n\r\n");
  feed("data");
  EXPECT_EQ(body, "data");
  EXPECT_EQ(carrier.sent(), ok("hello"));
}

TEST_F(HttpExchangeTest, AnswersAnOlderClientInItsWords) {
  carrier.on_request = respond_with("hello");
  feed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(carrier.sent(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
  EXPECT_TRUE(exchange().takes_input());
  feed("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
}

TEST_F(HttpExchangeTest, EachRequestHasItsCost) {
  carrier.on_request = respond_with("hello");
  for (const std::string& text : {kGet, std::string("nonsense\r\n\r\n")}) {
    std::vector<std::uint8_t> bytes(text.begin(), text.end());
    std::span<std::uint8_t> input(bytes);
    Budget budget;
    exchange().consume(input, budget);
    EXPECT_LE(budget.left(), kQuantum - kCostOfRequest);
  }
}

TEST_F(HttpExchangeTest, EndsWhenTheClientWantsNoMore) {
  carrier.on_request = respond_with("hello");
  feed("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + kGet);
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
  EXPECT_EQ(carrier.requests.size(), 1U);
  EXPECT_FALSE(exchange().takes_input());
}

TEST_F(HttpExchangeTest, WhatNobodyAnswersIsNotThere) {
  carrier.on_request = [](const Request&) { return true; };
  feed(kGet);
  EXPECT_EQ(carrier.sent(), text_answer("404 Not Found", "There is nothing here."));
  EXPECT_TRUE(carrier.ends.empty());
}

TEST_F(HttpExchangeTest, AnOwnerThatFailsIsAnError) {
  carrier.on_request = [](const Request&) { return false; };
  feed(kGet);
  EXPECT_EQ(carrier.sent(),
            text_answer("500 Internal Server Error", "The server failed to answer this request.", true));
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
}

TEST_F(HttpExchangeTest, AnOwnerThatFailsBehindItsAnswerEndsTheConnection) {
  carrier.on_request = [this](const Request& request) {
    respond_with("hello")(request);
    return false;
  };
  feed(kGet);
  EXPECT_EQ(carrier.sent(), ok("hello"));
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
}

TEST_F(HttpExchangeTest, RawBytesAreTheLastAnswer) {
  carrier.on_request = [this](const Request&) {
    exchange().write_raw(as_bytes("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(exchange().is_raw());
    EXPECT_FALSE(exchange().awaits_answer());
    exchange().write_raw(as_bytes("\r\n"));
    return true;
  };
  feed(kGet);
  EXPECT_EQ(carrier.sent(), "HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
}

TEST_F(HttpExchangeTest, AnOwnerMayEndTheConnectionWithoutAnAnswer) {
  carrier.on_request = [this](const Request&) {
    carrier.end(End::kNow);
    return true;
  };
  feed(kGet + kGet);
  EXPECT_EQ(carrier.sent(), "");
  EXPECT_EQ(carrier.requests.size(), 1U);
  EXPECT_EQ(carrier.ends, Ends{End::kNow});
}

TEST_F(HttpExchangeTest, WhatIsMalformedIsRefused) {
  feed("nonsense\r\n\r\n");
  EXPECT_TRUE(carrier.sent().starts_with("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
  EXPECT_EQ(refused(RefusalReason::kBadRequest), 1U);
}

TEST_F(HttpExchangeTest, WhatIsTooLargeIsCountedAsSuch) {
  feed("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n");
  EXPECT_TRUE(carrier.sent().starts_with("HTTP/1.1 431 "));
  EXPECT_EQ(refused(RefusalReason::kTooLarge), 1U);
}

// --- Answers that come later ---

TEST_F(HttpExchangeTest, AnAnswerMayComeLater) {
  carrier.on_request = [this](const Request&) {
    exchange().defer();
    return true;
  };
  feed(kGet);
  EXPECT_EQ(carrier.sent(), "");
  EXPECT_EQ(carrier.deadline_ms, options.answer_timeout_ms);
  EXPECT_TRUE(exchange().awaits_answer());
  EXPECT_TRUE(exchange().is_deferred());
  EXPECT_TRUE(exchange().keeps_input());
  EXPECT_FALSE(exchange().takes_input());
  carrier.reading_changes = 0;
  respond_with("late")(exchange().request());
  EXPECT_EQ(carrier.sent(), ok("late"));
  EXPECT_EQ(carrier.reading_changes, 1);
  EXPECT_TRUE(exchange().takes_input());
}

TEST_F(HttpExchangeTest, WhoDefersMayAnswerAtOnceNevertheless) {
  carrier.on_request = [this](const Request& request) {
    exchange().defer();
    return respond_with("hello")(request);
  };
  feed(kGet);
  EXPECT_EQ(carrier.sent(), ok("hello"));
  EXPECT_TRUE(exchange().takes_input());
}

TEST_F(HttpExchangeTest, AnAnswerThatDoesNotComeIsATimeout) {
  carrier.on_request = [this](const Request&) {
    exchange().on_deadline();  // not while the owner is at work
    exchange().defer();
    exchange().on_deadline();
    return true;
  };
  feed(kGet);
  EXPECT_TRUE(carrier.ends.empty());
  exchange().on_deadline();
  EXPECT_EQ(carrier.sent(), text_answer("503 Service Unavailable", "The answer took too long.", true));
  EXPECT_EQ(refused(RefusalReason::kTimeout), 1U);
}

// --- Deadlines ---

TEST_F(HttpExchangeTest, TheTimeOfTheFirstRequestRunsFromTheConnection) {
  EXPECT_EQ(exchange().timeout_ms(), options.handshake_timeout_ms);
  feed("GE");
  EXPECT_FALSE(carrier.deadline_ms);
  exchange().on_deadline();
  EXPECT_EQ(carrier.sent(), text_answer("408 Request Timeout", "The request did not arrive in time.", true));
  EXPECT_EQ(refused(RefusalReason::kTimeout), 1U);
}

TEST_F(HttpExchangeTest, AConnectionThatSaysNothingEndsWithoutAWord) {
  exchange().on_deadline();
  EXPECT_EQ(carrier.sent(), "");
  EXPECT_EQ(carrier.ends, Ends{End::kNow});
  EXPECT_EQ(refused(RefusalReason::kTimeout), 0U);
}

TEST_F(HttpExchangeTest, EachPartOfALaterRequestHasATimeOfItsOwn) {
  carrier.on_request = respond_with("hello");
  feed(kGet);
  EXPECT_EQ(carrier.deadline_ms, options.send_timeout_ms);  // for the answer
  carrier.sent();
  EXPECT_EQ(exchange().timeout_ms(), options.keepalive_timeout_ms);
  feed("P");
  EXPECT_EQ(carrier.deadline_ms, options.handshake_timeout_ms);
  feed("OST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nd");
  EXPECT_EQ(carrier.deadline_ms, options.body_timeout_ms);
}

TEST_F(HttpExchangeTest, APartHasNoMoreTimeForComingByteByByte) {
  carrier.on_request = respond_with("hello");
  feed(kGet);
  carrier.sent();
  feed("P");
  carrier.deadline_ms.reset();
  feed("OST / HTTP/1.1\r\n");
  EXPECT_FALSE(carrier.deadline_ms);
  feed("Host: x\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(carrier.deadline_ms, options.body_timeout_ms);
  carrier.deadline_ms.reset();
  feed("d");
  EXPECT_FALSE(carrier.deadline_ms);
}

TEST_F(HttpExchangeTest, TheTimeForAnAnswerRunsOnWhateverFollowsTheRequest) {
  carrier.on_request = respond_with("hello");
  feed(kGet + "GE");
  EXPECT_EQ(carrier.deadline_ms, options.send_timeout_ms);
  carrier.on_request = [this](const Request&) {
    exchange().defer();
    return true;
  };
  feed(kGet.substr(2));
  EXPECT_TRUE(exchange().is_deferred());
  EXPECT_EQ(carrier.deadline_ms, options.send_timeout_ms);
}

TEST_F(HttpExchangeTest, AnAnswerThatHasLeftAlreadyLetsTheNextRequestBeWaitedFor) {
  carrier.on_request = [this](const Request& request) {
    respond_with("hello")(request);
    carrier.flush();
    return true;
  };
  feed(kGet);
  EXPECT_EQ(carrier.deadline_ms, options.keepalive_timeout_ms);
}

TEST_F(HttpExchangeTest, AContentThatGoesOnHasMoreTime) {
  options.body_timeout_ms = 1000;
  feed("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1500\r\n\r\n" + std::string(500, 'd'));
  carrier.deadline_ms.reset();
  exchange().on_deadline();
  EXPECT_EQ(carrier.deadline_ms, 1000U);
  EXPECT_TRUE(carrier.ends.empty());
  feed(std::string(499, 'd'));
  exchange().on_deadline();
  EXPECT_TRUE(carrier.sent().starts_with("HTTP/1.1 408 "));
}

TEST_F(HttpExchangeTest, EachContentHasToGoOnByItself) {
  options.body_timeout_ms = 1000;
  carrier.on_request = respond_with("hello");
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1500\r\n\r\n";
  feed(head + std::string(1000, 'd'));
  exchange().on_deadline();
  feed(std::string(500, 'd'));
  EXPECT_EQ(carrier.sent(), ok("hello"));
  feed(head + "d");
  exchange().on_deadline();
  EXPECT_TRUE(carrier.sent().starts_with("HTTP/1.1 408 "));
}

TEST_F(HttpExchangeTest, WhoDoesNotReadItsAnswerIsNotWaitedFor) {
  carrier.on_request = respond_with("hello");
  feed(kGet);
  exchange().on_deadline();
  EXPECT_EQ(carrier.ends, Ends{End::kNow});
}

// --- Shortage and the end of the server ---

TEST_F(HttpExchangeTest, NothingFollowsHalfAnAnswer) {
  const std::string body(100'000, 'x');
  carrier.on_request = [&](const Request&) {
    try {
      ResponseHead head;
      exchange().respond(head, as_bytes(body));
    } catch (const std::bad_alloc&) {
      return false;
    }
    return true;
  };
  int broken = 0;
  bool has_failed = true;
  for (std::size_t nth = 1; has_failed; ++nth) {
    restart();
    carrier.flush();
    carrier.ends.clear();
    carrier.deferred = 0;
    {
      const FailingAllocation failing(nth);
      try {
        feed(kGet + kGet);
      } catch (const std::bad_alloc&) {
      }
      has_failed = failing.has_failed();
    }
    if (carrier.deferred == 0) continue;
    ++broken;
    EXPECT_FALSE(exchange().takes_input());
    EXPECT_FALSE(exchange().keeps_input());
    EXPECT_TRUE(carrier.ends.empty());
    exchange().run_deferred();
    EXPECT_EQ(carrier.ends, Ends{End::kNow});
  }
  EXPECT_GT(broken, 0);
}

TEST_F(HttpExchangeTest, WhereMemoryIsShortARequestIsGivenUp) {
  feed("GET / HTTP/1.1\r\nX: " + std::string(1000, 'x') + "\r\n");
  EXPECT_GT(exchange().request_bytes(), 1000U);
  exchange().shed();
  EXPECT_EQ(carrier.sent(), text_answer("503 Service Unavailable", "The server is short of memory.", true));
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
  EXPECT_LT(exchange().request_bytes(), 1000U);
}

TEST_F(HttpExchangeTest, WhatIsNoRequestIsGivenUpWithoutAWord) {
  carrier.on_request = [this](const Request&) {
    exchange().defer();
    return true;
  };
  feed(kGet);
  exchange().shed();
  EXPECT_EQ(carrier.sent(), "");
  EXPECT_EQ(carrier.ends, Ends{End::kNow});
}

TEST_F(HttpExchangeTest, AServerThatEndsAnswersWhatHasBegun) {
  feed("GE");
  rules.is_shutting_down = true;
  exchange().shut_down();
  EXPECT_TRUE(carrier.ends.empty());
  carrier.on_request = respond_with("hello");
  feed(kGet.substr(2));
  EXPECT_EQ(carrier.sent(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
}

TEST_F(HttpExchangeTest, WhoseAnswerWaitsIsGivenUpWithoutAnother) {
  carrier.on_request = respond_with("hello");
  feed(kGet);
  exchange().shed();
  EXPECT_EQ(carrier.sent(), "");
  EXPECT_EQ(carrier.ends, Ends{End::kNow});
}

TEST_F(HttpExchangeTest, AServerThatEndsLetsItsLastAnswerLeave) {
  carrier.on_request = respond_with("hello");
  feed(kGet);
  rules.is_shutting_down = true;
  exchange().shut_down();
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
  EXPECT_EQ(carrier.sent(), ok("hello"));
}

TEST_F(HttpExchangeTest, AServerThatEndsBehindAnAnswerTakesNoFurtherRequest) {
  carrier.on_request = [this](const Request& request) {
    respond_with("hello")(request);
    rules.is_shutting_down = true;
    return true;
  };
  feed(kGet + kGet);
  EXPECT_EQ(carrier.sent(), ok("hello"));
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
}

TEST_F(HttpExchangeTest, AServerThatEndsDoesNotWaitForMore) {
  exchange().shut_down();
  EXPECT_EQ(carrier.ends, Ends{End::kNow});
}

// --- Who speaks ---

TEST_F(BehindProxyTest, AProxysHeaderTellsTheClient) {
  start(true);
  std::span<const std::uint8_t> header = as_bytes("PROXY TCP4 198.51.100.7 192.0.2.1 1 80\r\n");
  ASSERT_TRUE(exchange().awaits_proxy_header());
  EXPECT_TRUE(exchange().end_proxy_header(exchange().read_proxy_header(header)));
  EXPECT_EQ(carrier.peer().text(), "198.51.100.7");
  EXPECT_FALSE(exchange().awaits_proxy_header());
}

TEST_F(BehindProxyTest, WhatIsNoProxysHeaderIsRefused) {
  start(true);
  std::span<const std::uint8_t> header = as_bytes(kGet);
  EXPECT_FALSE(exchange().end_proxy_header(exchange().read_proxy_header(header)));
  EXPECT_TRUE(carrier.sent().starts_with("HTTP/1.1 400 "));
  EXPECT_EQ(refused(RefusalReason::kBadRequest), 1U);
  EXPECT_FALSE(exchange().awaits_proxy_header());  // what comes behind it is nobody's
}

TEST_F(BehindProxyTest, BeforeTlsNothingCanBeSaid) {
  carrier.uses_tls = true;
  start(true);
  std::span<const std::uint8_t> header = as_bytes(kGet);
  EXPECT_FALSE(exchange().end_proxy_header(exchange().read_proxy_header(header)));
  EXPECT_EQ(carrier.sent(), "");
  EXPECT_EQ(carrier.ends, Ends{End::kNow});
  EXPECT_EQ(refused(RefusalReason::kBadRequest), 1U);
}

TEST_F(BehindProxyTest, HeadersOfATrustedProxyTellTheClient) {
  start(false);
  carrier.on_request = [this](const Request& request) {
    EXPECT_EQ(carrier.peer().text(), "198.51.100.7");
    EXPECT_TRUE(exchange().is_secure());
    return respond_with("hello")(request);
  };
  feed("GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=198.51.100.7;proto=https\r\n\r\n");
  EXPECT_EQ(carrier.requests.size(), 1U);
  feed("GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=198.51.100.7\r\nX-Forwarded-For: 198.51.100.8\r\n\r\n");
  EXPECT_EQ(carrier.requests.size(), 1U);
  EXPECT_EQ(refused(RefusalReason::kBadRequest), 1U);
}

TEST_F(BehindProxyTest, WhoHasTooManyConnectionsIsNotHeard) {
  start(false);
  carrier.admits = false;
  feed("GET / HTTP/1.1\r\nHost: x\r\nForwarded: for=198.51.100.7\r\n\r\n");
  EXPECT_TRUE(carrier.requests.empty());
  EXPECT_EQ(carrier.sent(),
            text_answer("429 Too Many Requests", "There are too many connections from this address.", true));
  EXPECT_EQ(refused(RefusalReason::kAddress), 1U);
}

// --- Requests for a websocket ---

TEST_F(HttpExchangeTest, BecomesAWebsocket) {
  std::string input = kUpgrade + "frames";
  EXPECT_EQ(feed(input), "frames");
  EXPECT_EQ(carrier.sent(), kSwitching + "\r\n");
  EXPECT_EQ(carrier.websocket, "chat");
  EXPECT_EQ(stats.http_requests, 0U);
}

TEST_F(HttpExchangeTest, ABadHandshakeIsRefused) {
  feed("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_TRUE(carrier.sent().starts_with("HTTP/1.1 400 "));
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
  EXPECT_EQ(refused(RefusalReason::kHandshake), 1U);
  EXPECT_EQ(carrier.websocket, "");
}

TEST_F(HttpExchangeTest, ASecondRequestMayBecomeAWebsocket) {
  carrier.on_request = respond_with("hello");
  feed(kGet + kUpgrade);
  EXPECT_EQ(carrier.sent(), ok("hello") + kSwitching + "\r\n");
  EXPECT_EQ(carrier.websocket, "chat");
}

TEST_F(HttpExchangeTest, AServerThatEndsTakesNoMoreWebsockets) {
  rules.is_shutting_down = true;
  feed(kUpgrade);
  EXPECT_EQ(carrier.sent(), text_answer("503 Service Unavailable", "The server is shutting down.", true));
  EXPECT_EQ(refused(RefusalReason::kShutdown), 1U);
}

class UpgradeDecisionTest : public HttpExchangeTest {
 protected:
  UpgradeDecisionTest() {
    options.asks_before_upgrade = true;
    carrier.on_upgrade_asked = [this](const std::shared_ptr<PendingUpgrade>& asked) {
      pending = asked;
      if (answer_at_once) pending->answer(std::move(*answer_at_once));
      if (abandons) pending->abandon();
      return true;
    };
  }
  Status answer(int status) { return pending->answer({status, {}, false, {}}); }

  std::shared_ptr<PendingUpgrade> pending;
  std::optional<UpgradeAnswer> answer_at_once;
  bool abandons = false;
};

TEST_F(UpgradeDecisionTest, IsGrantedAtOnce) {
  answer_at_once.emplace().header_lines = "X-Mine: 1\r\n";
  feed(kUpgrade);
  EXPECT_EQ(carrier.sent(), kSwitching + "X-Mine: 1\r\n\r\n");
  EXPECT_EQ(carrier.websocket, "chat");
  EXPECT_EQ(pending->status(), Status::kAnswered);
}

TEST_F(UpgradeDecisionTest, IsRefusedAtOnce) {
  answer_at_once.emplace().status = 403;
  feed(kUpgrade);
  EXPECT_EQ(carrier.sent(), text_answer("403 Forbidden", "Forbidden", true));
  EXPECT_EQ(refused(RefusalReason::kUpgrade), 1U);
  EXPECT_EQ(pending->status(), Status::kAnswered);
}

TEST_F(UpgradeDecisionTest, IsGrantedLater) {
  EXPECT_EQ(feed(kUpgrade + "frames"), "frames");
  EXPECT_EQ(carrier.sent(), "");
  EXPECT_EQ(carrier.deadline_ms, options.upgrade_timeout_ms);
  EXPECT_TRUE(exchange().keeps_input());
  EXPECT_EQ(exchange().subprotocol(), &hub.subprotocols()[0]);
  EXPECT_EQ(answer(101), Status::kWaiting);
  EXPECT_EQ(carrier.sent(), kSwitching + "\r\n");
  EXPECT_EQ(carrier.websocket, "chat");
  EXPECT_EQ(answer(403), Status::kAnswered);
}

TEST_F(UpgradeDecisionTest, IsRefusedLaterInWordsOfItsOwn) {
  feed(kUpgrade);
  pending->answer({401, "WWW-Authenticate: Basic\r\nContent-Type: text/x\r\n", true, "who?"});
  EXPECT_EQ(carrier.sent(),
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nConnection: close\r\n"
            "WWW-Authenticate: Basic\r\nContent-Type: text/x\r\n\r\nwho?");
  EXPECT_EQ(carrier.ends, Ends{End::kLinger});
}

TEST_F(UpgradeDecisionTest, IsRefusedWithoutABodyWhereThereIsNone) {
  feed(kUpgrade);
  pending->answer({304, {}, false, {}});
  EXPECT_TRUE(carrier.sent().ends_with("\r\n\r\n"));
}

TEST_F(UpgradeDecisionTest, EndsWhereMemoryIsTooShortForTheAnswer) {
  int ended = 0;
  bool has_failed = true;
  for (std::size_t nth = 1; has_failed; ++nth) {
    restart();
    carrier.flush();
    carrier.ends.clear();
    feed(kUpgrade);
    UpgradeAnswer given{403, {}, false, {}};
    bool was_thrown = false;
    {
      const FailingAllocation failing(nth);
      try {
        pending->answer(std::move(given));
      } catch (const std::bad_alloc&) {
        was_thrown = true;
      }
      has_failed = failing.has_failed();
    }
    EXPECT_FALSE(carrier.ends.empty());
    if (!was_thrown) continue;
    ++ended;
    EXPECT_EQ(carrier.ends.back(), End::kNow);
  }
  EXPECT_GT(ended, 0);
}

TEST_F(UpgradeDecisionTest, AnOwnerThatFailsIsAnError) {
  carrier.on_upgrade_asked = [](const auto&) { return false; };
  feed(kUpgrade);
  EXPECT_EQ(carrier.sent(),
            text_answer("500 Internal Server Error", "The server failed to answer this request.", true));
}

TEST_F(UpgradeDecisionTest, WhoForgetsToAnswerIsAnsweredFor) {
  feed(kUpgrade);
  exchange().run_deferred();  // for something else
  EXPECT_EQ(pending->status(), Status::kWaiting);
  pending->abandon();
  EXPECT_EQ(carrier.deferred, 1);
  EXPECT_EQ(carrier.sent(), "");
  exchange().run_deferred();
  EXPECT_EQ(carrier.sent(), text_answer("503 Service Unavailable", "Service Unavailable", true));
  EXPECT_EQ(pending->status(), Status::kAnswered);
}

TEST_F(UpgradeDecisionTest, MayBeForgottenWithinTheCall) {
  abandons = true;
  feed(kUpgrade);
  EXPECT_EQ(carrier.deferred, 1);
  exchange().run_deferred();
  EXPECT_TRUE(carrier.sent().starts_with("HTTP/1.1 503 "));
}

TEST_F(UpgradeDecisionTest, ADecisionThatDoesNotComeIsARefusal) {
  feed(kUpgrade);
  exchange().on_deadline();
  EXPECT_EQ(carrier.sent(), text_answer("503 Service Unavailable", "Service Unavailable", true));
  EXPECT_EQ(answer(101), Status::kAnswered);
}

TEST_F(UpgradeDecisionTest, AClientThatLeavesNeedsNoAnswer) {
  feed(kUpgrade);
  carrier.end(End::kNow);
  EXPECT_EQ(pending->status(), Status::kClosed);
  EXPECT_EQ(answer(101), Status::kClosed);
  EXPECT_EQ(carrier.websocket, "");
}

TEST_F(UpgradeDecisionTest, StaysGoodWhenTheExchangeIsGone) {
  feed(kUpgrade);
  carrier.exchange.reset();
  EXPECT_EQ(pending->status(), Status::kClosed);
  EXPECT_EQ(answer(101), Status::kClosed);
  pending->abandon();
  EXPECT_EQ(carrier.deferred, 0);
}

TEST_F(UpgradeDecisionTest, TheOwnerMayEndTheConnectionInstead) {
  carrier.on_upgrade_asked = [this](const auto& asked) {
    asked->answer({});
    carrier.end(End::kLinger);
    return true;
  };
  feed(kUpgrade);
  EXPECT_EQ(carrier.sent(), "");
  EXPECT_EQ(carrier.websocket, "");
}

}  // namespace
}  // namespace websockets
