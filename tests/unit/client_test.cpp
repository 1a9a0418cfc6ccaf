// SPDX-License-Identifier: MIT
#include "client/client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "client_fixture.h"

namespace websockets {
namespace {

// Beside its connection and the text of its ClientResponse, that is all that an idle client takes of the engine.
static_assert(sizeof(void*) != 8 || sizeof(Client) <= 120);

class ClientTest : public ClientFixture {
 protected:
  ClientTest() { options.opening.headers = {{"X-Api-Key", "key"}}; }

  RetryOptions& reconnects() { return options.reconnect.emplace(RetryOptions{.delay = 0}); }
  static WriteStatus say(Client& client, std::string_view text) {
    return client.send(Opcode::kText, true, as_bytes(text));
  }
  template <typename Function>
  void in_round(Function function) {
    const Loop::Round round(loop());
    function();
  }
  // Whenever the event comes.
  void on_event(const std::string& wanted, std::function<void(Client&)> reaction) {
    handler.action = [wanted, reaction = std::move(reaction)](Client& client, const std::string& event) {
      if (event == wanted) reaction(client);
    };
  }
};

// --- Opening ---

TEST_F(ClientTest, NothingHappensBeforeTheLoopIsServed) {
  const Client& client = connect();
  EXPECT_EQ(client.state(), Client::State::kConnecting);
  EXPECT_EQ(client.session(), nullptr);
  EXPECT_EQ(client.response(), nullptr);
  EXPECT_EQ(client.descriptor(), -1);
  EXPECT_TRUE(dials.targets.empty());
}

TEST_F(ClientTest, OpensAndHasWhatTheServerSaid) {
  Client& client = open();
  EXPECT_EQ(client.state(), Client::State::kOpen);
  EXPECT_GE(client.descriptor(), 0);
  EXPECT_EQ(client.response()->url(), "ws://example.org/feed");
  EXPECT_FALSE(client.certificate());
  EXPECT_EQ(client.session()->carrier().user, &client);
  EXPECT_EQ(say(client, "hello"), WriteStatus::kAccepted);
  settle();
  EXPECT_EQ(far().frames(), (Log{"text!:hello"}));
}

TEST_F(ClientTest, WhatFollowsTheAnswerComesAfterOnOpen) {
  connect();
  settle();
  far().say(far().grant() + server_text("a") + server_text("b"));
  settle();
  EXPECT_EQ(take_log(), (Log{"open", "message:a", "message:b"}));
}

TEST_F(ClientTest, WhatTheServerSaysFirstMaySplitAnywhere) {
  std::size_t size = 0;
  for (std::size_t at = 1; at == 1 || at < size; ++at) {
    Client& client = connect();
    settle();
    const std::string all = far().grant() + server_text("a") + server_text("b") + server_close(1000, "bye");
    size = all.size();
    far().say(all.substr(0, at));
    settle();
    far().say(all.substr(at));
    settle();
    EXPECT_EQ(take_log(), (Log{"open", "message:a", "message:b", "closed 1000 bye closed open"})) << at;
    in_round([&] { client.terminate(); });
    EXPECT_EQ(take_log(), Log{"freed"});
  }
}

TEST_F(ClientTest, TheUserMayBeAnotherOne) {
  Client& client = open();
  int other = 0;
  client.set_user(&other);
  EXPECT_EQ(client.session()->carrier().user, &other);
  client.set_user(nullptr);  // then nobody is told that it is freed
  in_round([&] { client.terminate(); });
  EXPECT_EQ(take_log(), (Log{"closed 1006 cancelled open"}));
}

TEST_F(ClientTest, TheOwnerIsAskedBeforeEachAttempt) {
  options.asks_owner = true;
  reconnects();
  int count = 0;
  handler.on_request = [&](ClientRequest& request) {
    EXPECT_EQ(request.url, options.url);
    EXPECT_EQ(request.headers[0].second, "key");
    request.url = "ws://example.org/" + std::to_string(++count);
    request.headers[0].second = "token" + std::to_string(count);
  };
  connect();
  settle();
  EXPECT_EQ(take_log(), (Log{"attempt"}));
  EXPECT_EQ(far().request().substr(0, 6), "GET /1");
  EXPECT_EQ(far().header("X-Api-Key"), "token1");
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry lost http", "attempt"}));
  EXPECT_EQ(far().request().substr(0, 6), "GET /2");
  EXPECT_EQ(far().header("X-Api-Key"), "token2");
}

TEST_F(ClientTest, AnOwnerThatFailsToAnswerEndsIt) {
  options.asks_owner = true;
  reconnects();
  handler.succeeds = false;
  connect();
  settle();
  EXPECT_EQ(take_log(), (Log{"attempt", "closed 1006 cancelled", "freed"}));
  EXPECT_EQ(handler.failure.message, "the owner failed");
  EXPECT_TRUE(dials.targets.empty());
}

TEST_F(ClientTest, AnOwnerThatFailsInOnOpenClosesIt) {
  handler.succeeds = false;
  connect();
  settle();
  far().open();
  settle();
  EXPECT_EQ(take_log(), (Log{"open", "closed 1011 the handler failed closed open"}));
  EXPECT_EQ(handler.failure.close_code, CloseCode::kInternalError);
  EXPECT_EQ(far().frames(), (Log{"close!:1011:the handler failed"}));
}

TEST_F(ClientTest, WithoutReconnectAFailureIsTheEnd) {
  dials.on_start = FakeDials::refuse;
  Client& client = connect();
  EXPECT_EQ(take_log(), Log{});  // not within the call
  on_event("closed 1006 refused tcp", [](Client& its) { EXPECT_EQ(its.state(), Client::State::kClosed); });
  EXPECT_EQ(&client, clients().first());
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 refused tcp", "freed"}));
  EXPECT_EQ(clients().count(), 0U);
}

TEST_F(ClientTest, TheDeadlineCountsFromTheCall) {
  options.connect_timeout_ms = 10;
  dials.on_start = [](FakeDials::Dial&) {};
  connect();
  await("closed 1006 timeout tcp");
}

TEST_F(ClientTest, TheDeadlineOfALaterAttemptCountsFromItsBeginning) {
  options.connect_timeout_ms = 10;
  reconnects();
  dials.on_start = [](FakeDials::Dial&) {};
  std::vector<std::uint64_t> times_ms;
  on_event("retry timeout tcp", [&](Client&) { times_ms.push_back(monotonic_ms()); });
  connect();
  while (times_ms.size() < 2) loop().service(-1);
  EXPECT_GE(times_ms[1] - times_ms[0], 10U);
}

TEST_F(ClientTest, TheAnswerOfARefusalIsTold) {
  connect();
  settle();
  far().say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 http http", "freed"}));
  EXPECT_EQ(handler.failure.answer.status(), 401);
  EXPECT_EQ(handler.failure.body, "no");
}

// --- What is sent before it is open ---

TEST_F(ClientTest, WhatIsSentBeforeGoesFirst) {
  Client& client = connect();
  EXPECT_EQ(say(client, "one"), WriteStatus::kAccepted);
  EXPECT_EQ(client.send(Opcode::kPing, true, {}), WriteStatus::kAccepted);
  settle();
  EXPECT_EQ(client.send(Opcode::kText, false, as_bytes("two")), WriteStatus::kAccepted);
  EXPECT_TRUE(client.is_fragmenting());
  EXPECT_GT(client.buffered_bytes(), 6U);
  on_event("open", [](Client& its) {
    EXPECT_TRUE(its.is_fragmenting());
    EXPECT_EQ(its.send(Opcode::kContinuation, true, as_bytes("three")), WriteStatus::kAccepted);
    EXPECT_FALSE(its.is_fragmenting());
  });
  far().open();
  settle();
  EXPECT_EQ(far().frames(), (Log{"text!:one", "ping!:", "text+!:two", "continuation!:three"}));
  EXPECT_EQ(client.buffered_bytes(), 0U);
}

TEST_F(ClientTest, BeforeItIsOpenMaxBackpressureHolds) {
  options.max_backpressure_bytes = 100;
  Client& client = connect();
  EXPECT_EQ(say(client, std::string(80, 'x')), WriteStatus::kAccepted);
  EXPECT_EQ(say(client, "more"), WriteStatus::kQueueFull);
}

TEST_F(ClientTest, WhatWasSentBeforeIsDroppedWhenItNeverOpens) {
  Client& client = connect();
  say(client, "never sent");
  dials.on_start = FakeDials::refuse;
  settle();
  EXPECT_EQ(loop().memory().used(), 0U);
}

TEST_F(ClientTest, DestroyingTellsHowMuchOfItWillNotLeave) {
  Client& client = connect();
  say(client, "never sent");
  const std::size_t waiting = client.buffered_bytes();
  EXPECT_GT(waiting, 0U);
  in_round([&] { EXPECT_EQ(clients().destroy(), waiting); });
}

TEST_F(ClientTest, BetweenTwoAttemptsBeforeTheFirstOpeningItIsQueued) {
  reconnects();
  dials.on_start = FakeDials::refuse;
  handler.seconds = 1000;
  Client& client = connect();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry refused tcp"}));
  EXPECT_EQ(client.state(), Client::State::kConnecting);
  EXPECT_EQ(say(client, "one"), WriteStatus::kAccepted);
  dials.on_start = FakeDials::connect;
  EXPECT_TRUE(client.reopen(CloseCode::kNormal, {}));
  settle();
  far().open();
  settle();
  EXPECT_EQ(far().frames(), (Log{"text!:one"}));
}

// --- Settings ---

TEST_F(ClientTest, SettingsHoldForEachOpening) {
  reconnects();
  Client& client = connect();
  client.set_reading(false);
  client.set_chunk_mode(true);
  client.set_notifies_drain(true);
  client.set_notifies_pongs(true);
  for (int count = 0; count < 2; ++count) {
    settle();
    far().say(far().grant() + server_text("a") + server_frame(0x8A, "b"));
    settle();
    EXPECT_EQ(take_log(), (Log{"open"}));
    in_round([&] { client.set_reading(true); });
    settle();
    EXPECT_EQ(take_log(), (Log{"chunk:a", "pong:b"}));
    say(client, "c");
    settle();
    EXPECT_EQ(take_log(), (Log{"drained"}));
    in_round([&] { client.set_reading(false); });
    in_round([&] { client.reopen(CloseCode::kNormal, {}); });
  }
}

TEST_F(ClientTest, SettingsMayChangeWhileItIsOpen) {
  Client& client = open();
  in_round([&] {
    client.set_chunk_mode(true);
    client.set_notifies_drain(true);
    client.set_notifies_pongs(true);
  });
  far().say(server_text("a") + server_frame(0x8A, "b"));
  settle();
  say(client, "c");
  settle();
  EXPECT_EQ(take_log(), (Log{"chunk:a", "pong:b", "drained"}));
}

// --- The end of an opening ---

TEST_F(ClientTest, ThePeersCloseIsTheEnd) {
  Client& client = open();
  on_event("closed 1000 bye closed open", [](Client& its) {
    EXPECT_EQ(its.state(), Client::State::kClosed);
    EXPECT_EQ(say(its, "too late"), WriteStatus::kClosed);
  });
  far().say(server_close(1000, "bye"));
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1000 bye closed open"}));
  EXPECT_EQ(handler.failure.close_code, CloseCode::kNormal);
  EXPECT_EQ(handler.failure.message, "ws://example.org/feed: the server closed the websocket, 1000: bye");
  EXPECT_EQ(client.state(), Client::State::kClosed);
  EXPECT_EQ(far().frames(), (Log{"close!:1000:"}));
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"freed"}));
}

TEST_F(ClientTest, ALossIsTheEnd) {
  open();
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 lost open", "freed"}));
  EXPECT_EQ(handler.failure.message, "ws://example.org/feed: the connection was lost");
  EXPECT_EQ(handler.failure.code, 0);
}

TEST_F(ClientTest, ALossTellsTheErrorOfTheSystem) {
  Client& client = open();
  EXPECT_EQ(say(client, "unread"), WriteStatus::kAccepted);
  settle();
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 lost open", "freed"}));
  EXPECT_EQ(handler.failure.code, ECONNRESET);
}

TEST_F(ClientTest, ALossBeforeTheAnswerTellsTheErrorOfTheSystem) {
  connect();
  settle();
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 lost http", "freed"}));
  EXPECT_EQ(handler.failure.code, ECONNRESET);
}

TEST_F(ClientTest, ALossForWantOfMemorySaysSo) {
  const Client& client = open();
  in_round([&] { client.session()->terminate(CloseCode::kTryAgainLater, "memory is short"); });
  EXPECT_EQ(take_log(), (Log{"closed 1013 memory is short lost open", "freed"}));
  EXPECT_EQ(handler.failure.message, "ws://example.org/feed: the connection was lost: memory is short");
}

TEST_F(ClientTest, SilenceIsATimeout) {
  options.keepalive = {.ping_interval_ms = 5, .idle_timeout_ms = 15};
  open();
  await("closed 1001 nothing was received for too long timeout open");
  const Log frames = far().frames();
  EXPECT_EQ(frames.front(), "ping!:");
  EXPECT_EQ(frames.back(), "close!:1001:nothing was received for too long");
}

TEST_F(ClientTest, AServerThatBreaksTheProtocolIsClosed) {
  open();
  far().say(server_frame(0x83, ""));
  settle();
  const Log all = take_log();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].substr(0, 11), "closed 1002");
  EXPECT_EQ(handler.failure.kind, FailureKind::kClosed);
  EXPECT_EQ(handler.failure.close_code, CloseCode::kProtocolError);
}

TEST_F(ClientTest, LocalCloseIsToldAtOnceAndWindsUpBehind) {
  Client& client = open();
  in_round([&] {
    say(client, "last");
    client.close(CloseCode::kNormal, "bye");
    EXPECT_EQ(take_log(), (Log{"closed 1000 bye"}));
    EXPECT_EQ(client.state(), Client::State::kClosing);
    EXPECT_EQ(say(client, "too late"), WriteStatus::kClosed);
    client.close(CloseCode::kNormal, "again");
    EXPECT_FALSE(client.reopen(CloseCode::kNormal, {}));
  });
  settle();
  EXPECT_EQ(far().frames(), (Log{"text!:last", "close!:1000:bye"}));
  EXPECT_EQ(clients().count(), 0U);
  far().say(server_text("not delivered") + server_close(1000));
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"freed"}));
}

TEST_F(ClientTest, LocalCloseWithoutACode) {
  Client& client = open();
  in_round([&] { client.close(CloseCode::kNone, {}); });
  EXPECT_EQ(take_log(), (Log{"closed 1005"}));
}

TEST_F(ClientTest, TerminateAfterCloseDropsTheConnection) {
  Client& client = open();
  in_round([&] {
    client.close(CloseCode::kNormal, {});
    client.terminate();
  });
  EXPECT_EQ(take_log(), (Log{"closed 1000", "freed"}));
}

TEST_F(ClientTest, TerminateDropsWhatWaitsForTheServerToEndTheConnection) {
  Client& client = open();
  in_round([&] { client.close(CloseCode::kNormal, {}); });
  far().say(server_close(1000));
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1000"}));
  EXPECT_GE(client.descriptor(), 0);
  in_round([&] { client.terminate(); });
  EXPECT_EQ(take_log(), (Log{"freed"}));
}

TEST_F(ClientTest, TerminateEndsItNow) {
  Client& client = open();
  in_round([&] { client.terminate(); });
  EXPECT_EQ(take_log(), (Log{"closed 1006 cancelled open", "freed"}));
}

TEST_F(ClientTest, ACloseFrameIsSentAndItsAnswerAwaited) {
  reconnects();
  Client& client = open();
  in_round([&] { EXPECT_EQ(client.send_close(CloseCode::kNormal, "bye"), WriteStatus::kAccepted); });
  settle();
  EXPECT_EQ(client.state(), Client::State::kClosing);
  EXPECT_EQ(take_log(), Log{});
  EXPECT_EQ(say(client, "too late"), WriteStatus::kClosed);
  EXPECT_FALSE(client.reopen(CloseCode::kNormal, {}));
  far().say(server_close(1000, "yes"));
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1000 yes"}));  // a local close is final
}

// What was lost while nobody has been told yet is not closed by what comes too late.
TEST_F(ClientTest, ACloseFrameThatIsNotTakenEndsNothing) {
  reconnects();
  Client& client = open();
  in_round([&] {
    client.session()->on_broken();
    EXPECT_EQ(client.send_close(CloseCode::kNormal, "bye"), WriteStatus::kClosed);
  });
  settle();
  EXPECT_EQ(take_log(), (Log{"retry lost open"}));
}

TEST_F(ClientTest, ACloseFrameThatIsNotAnsweredIsATimeout) {
  options.close_timeout_ms = 10;
  Client& client = open();
  in_round([&] { client.send_close(CloseCode::kNormal, "bye"); });
  await("closed 1006 timeout open");
  await("freed");
}

TEST_F(ClientTest, ACloseFrameBeforeItIsOpenFollowsWhatIsQueued) {
  reconnects();
  Client& client = connect();
  say(client, "one");
  in_round([&] { EXPECT_EQ(client.send_close(CloseCode::kNormal, "bye"), WriteStatus::kAccepted); });
  EXPECT_EQ(say(client, "too late"), WriteStatus::kClosed);
  settle();
  EXPECT_EQ(client.state(), Client::State::kConnecting);
  far().open();
  settle();
  EXPECT_EQ(client.state(), Client::State::kClosing);
  EXPECT_EQ(take_log(), (Log{"open"}));
  EXPECT_EQ(far().frames(), (Log{"text!:one", "close!:1000:bye"}));
  far().say(server_close(1000));
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1000"}));  // a local close is final
}

TEST_F(ClientTest, ACloseFrameThatIsQueuedMakesAFailureFinal) {
  dials.on_start = FakeDials::refuse;
  reconnects();
  Client& client = connect();
  in_round([&] { client.send_close(CloseCode::kNormal, {}); });
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 refused tcp", "freed"}));
}

TEST_F(ClientTest, ACloseFrameBetweenTwoOpeningsIsRefused) {
  reconnects();
  handler.seconds = 1000;
  Client& client = open();
  far().close();
  settle();
  in_round([&] { EXPECT_EQ(client.send_close(CloseCode::kNormal, {}), WriteStatus::kClosed); });
  EXPECT_EQ(client.state(), Client::State::kReconnecting);
  EXPECT_EQ(take_log(), (Log{"retry lost open"}));
}

TEST_F(ClientTest, AServerThatAnswersAndKeepsTheSocketIsNotWaitedForLongerThanTheCloseTimeout) {
  options.close_timeout_ms = 10;
  Client& client = open();
  in_round([&] { client.close(CloseCode::kNormal, {}); });
  settle();
  far().say(server_close(1000));
  await("freed");
  EXPECT_EQ(take_log(), (Log{"closed 1000", "freed"}));
}

// --- Close in each state ---

TEST_F(ClientTest, CloseWhileDialingAborts) {
  dials.on_start = [](FakeDials::Dial&) {};
  Client& client = connect();
  settle();
  EXPECT_EQ(dials.alive, 1);
  in_round([&] { client.close(CloseCode::kNormal, "bye"); });
  EXPECT_EQ(take_log(), (Log{"closed 1006 cancelled", "freed"}));
  EXPECT_EQ(dials.alive, 0);
}

TEST_F(ClientTest, CloseWhileTheAnswerIsAwaitedAborts) {
  Client& client = connect();
  settle();
  far().request();
  in_round([&] { client.terminate(); });
  EXPECT_EQ(take_log(), (Log{"closed 1006 cancelled", "freed"}));
  EXPECT_TRUE(far().has_ended());
}

TEST_F(ClientTest, CloseWhileReconnectingIsFinal) {
  reconnects();
  handler.seconds = 1000;
  Client& client = open();
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry lost open"}));
  EXPECT_EQ(client.state(), Client::State::kReconnecting);
  EXPECT_EQ(say(client, "lost"), WriteStatus::kClosed);
  in_round([&] { client.close(CloseCode::kNormal, "bye"); });
  EXPECT_EQ(take_log(), (Log{"closed 1000 bye cancelled", "freed"}));
}

// --- Reconnecting ---

TEST_F(ClientTest, ReconnectsAfterALossAndAfterAClose) {
  reconnects();
  Client& client = open();
  far().close();
  settle();
  far().open();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry lost open", "open"}));
  far().say(server_close(1001));
  settle();
  far().open();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry closed open", "open"}));
  EXPECT_EQ(say(client, "still here"), WriteStatus::kAccepted);
  settle();
  EXPECT_EQ(far().frames(), (Log{"text!:still here"}));
  EXPECT_EQ(clients().count(), 1U);
}

TEST_F(ClientTest, SomeCloseCodesAreFinal) {
  reconnects();
  for (const unsigned code : {1002U, 1003U, 1007U, 1008U, 1009U, 1010U}) {
    open();
    far().say(server_close(code));
    settle();
    EXPECT_EQ(take_log(), (Log{"closed " + std::to_string(code) + " closed open"}));
  }
}

TEST_F(ClientTest, FailuresThatWouldComeAgainAreFinal) {
  reconnects();
  connect();
  settle();
  far().say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 http http", "freed"}));
}

TEST_F(ClientTest, AFinalFailureWhileReconnectingIsTheEnd) {
  reconnects();
  open();
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry lost open"}));
  far().say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 http http", "freed"}));
}

TEST_F(ClientTest, RetryAfterIsObeyed) {
  reconnects();
  connect();
  settle();
  far().say("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
  settle();
  EXPECT_EQ(take_log(), (Log{"retry http http"}));
  EXPECT_EQ(handler.told_seconds, 7);
}

TEST_F(ClientTest, TheOwnerMayGiveUp) {
  reconnects();
  open();
  handler.succeeds = false;
  far().say(server_close(1001, "restart"));
  settle();
  EXPECT_EQ(take_log(), (Log{"retry closed open", "closed 1001 restart closed open", "freed"}));
}

TEST_F(ClientTest, TheNumberOfAttemptsMayBeLimited) {
  reconnects().attempts = 2;
  dials.on_start = FakeDials::refuse;
  connect();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry refused tcp", "retry refused tcp", "closed 1006 refused tcp", "freed"}));
  EXPECT_EQ(dials.targets.size(), 3U);
}

// One that opens and drops at once is not asked ever more quickly.
TEST_F(ClientTest, TheDelayGrowsUntilAnOpeningWasStable) {
  reconnects() = {.delay = 1, .factor = 2, .max_delay = 60, .stable = 30};
  handler.seconds = 0;
  open();
  std::vector<double> delays;
  for (int drops = 0; drops < 40; ++drops) {
    far().close();
    settle();
    EXPECT_EQ(take_log(), (Log{"retry lost open"}));
    delays.push_back(handler.told_seconds);
    far().open();
    settle();
    EXPECT_EQ(take_log(), (Log{"open"}));
  }
  // Full jitter: any of them may be short, but not all.
  EXPECT_LE(delays[0], 1);
  EXPECT_LE(delays[1], 2);
  EXPECT_LE(delays[2], 4);
  EXPECT_GT(*std::max_element(delays.begin(), delays.end()), 16);
  EXPECT_LE(*std::max_element(delays.begin(), delays.end()), 60);
}

TEST_F(ClientTest, AnOwnersDelayMayBeAnyNumber) {
  reconnects().attempts = 3;
  dials.on_start = FakeDials::refuse;
  for (const double seconds : {std::numeric_limits<double>::quiet_NaN(), -1.0}) {
    handler.seconds = seconds;
    connect();
    settle();
    EXPECT_EQ(take_log().size(), 5U);  // at once
  }
  handler.seconds = std::numeric_limits<double>::infinity();
  connect();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry refused tcp"}));
}

TEST_F(ClientTest, WithoutReconnectOneOpeningIsAll) {
  Client& client = open();
  EXPECT_FALSE(client.reopen(CloseCode::kNormal, {}));
  far().say(server_close(1001));
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1001 closed open"}));
}

// --- Opening anew ---

TEST_F(ClientTest, ReopenClosesAndConnectsAtOnce) {
  reconnects() = {.delay = 1000};
  Client& client = open();
  in_round([&] {
    say(client, "last");
    EXPECT_TRUE(client.reopen(CloseCode::kServiceRestart, "resume"));
    EXPECT_EQ(client.state(), Client::State::kReconnecting);
    EXPECT_EQ(client.session(), nullptr);
  });
  settle();
  EXPECT_EQ(take_log(), Log{});
  ASSERT_EQ(dials.far.size(), 2U);
  EXPECT_EQ(dials.far[0].frames(), (Log{"text!:last", "close!:1012:resume"}));
  dials.far[0].say(server_text("not delivered") + server_close(1012));
  dials.far[0].close();
  far().open();
  settle();
  EXPECT_EQ(take_log(), (Log{"open"}));
  EXPECT_EQ(client.state(), Client::State::kOpen);
}

TEST_F(ClientTest, ReopenEndsAWait) {
  reconnects();
  handler.seconds = 1000;
  Client& client = open();
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry lost open"}));
  EXPECT_TRUE(client.reopen(CloseCode::kNormal, {}));
  settle();
  far().open();
  settle();
  EXPECT_EQ(take_log(), (Log{"open"}));
}

TEST_F(ClientTest, ReopenLeavesAnAttemptThatIsUnderWay) {
  reconnects();
  Client& client = connect();
  settle();
  EXPECT_TRUE(client.reopen(CloseCode::kNormal, {}));
  settle();
  EXPECT_EQ(dials.targets.size(), 1U);
  far().open();
  settle();
  EXPECT_EQ(take_log(), (Log{"open"}));
}

TEST_F(ClientTest, OnRetryMayOpenAnew) {
  reconnects();
  handler.seconds = 1000;
  open();
  on_event("retry lost open", [](Client& its) { EXPECT_TRUE(its.reopen(CloseCode::kNormal, {})); });
  far().close();
  settle();
  far().open();
  settle();
  EXPECT_EQ(take_log(), (Log{"retry lost open", "open"}));
}

// --- What an outer loop does when it is told of descriptors ---

class ObservedClientTest : public ClientTest {
 protected:
  ObservedClientTest() {
    end();
    LoopFixture::open({.driver = {}, .observer = &observer});
    restart();
  }
  ~ObservedClientTest() override { end(); }

  class Observer final : public DescriptorObserver {
   public:
    // The next time.
    std::function<void()> on_add = [] {};
    std::function<void()> on_del = [] {};

    void on_add_fd(int) override {
      std::exchange(on_add, [] {})();
    }
    void on_del_fd(int) override {
      std::exchange(on_del, [] {})();
    }
  } observer;
};

TEST_F(ObservedClientTest, MayServeANewConnectionUntilItIsOpen) {
  Client& client = connect();
  observer.on_add = [&] {
    settle();
    far().open();
    settle();
  };
  settle();
  if (log.empty()) {
    far().open();
    settle();
  }
  EXPECT_EQ(take_log(), (Log{"open"}));
  EXPECT_EQ(say(client, "hello"), WriteStatus::kAccepted);
  settle();
  EXPECT_EQ(far().frames(), (Log{"text!:hello"}));
}

TEST_F(ObservedClientTest, MayEndTheClientOfAnAttemptThatFails) {
  for (const std::string_view answer : {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "nonsense\r\n"}) {
    Client& client = connect();
    settle();
    observer.on_del = [&] { client.close(CloseCode::kNormal, {}); };
    far().say(answer);
    settle();
    EXPECT_EQ(take_log(), (Log{"closed 1006 cancelled", "freed"}));
  }
}

TEST_F(ObservedClientTest, MayEndTheClientThatIsRedirected) {
  options.redirects = 1;
  Client& client = connect();
  settle();
  observer.on_del = [&] { client.close(CloseCode::kNormal, {}); };
  far().say("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 cancelled", "freed"}));
  EXPECT_EQ(dials.targets.size(), 1U);
}

TEST_F(ObservedClientTest, MayEndTheClientWhoseConnectionEnds) {
  reconnects();
  Client& client = open();
  observer.on_del = [&] { client.close(CloseCode::kNormal, "bye"); };
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1000 bye cancelled", "freed"}));
}

TEST_F(ObservedClientTest, MayDestroyEverythingWhenOneIsBrokenOff) {
  Client& client = connect();
  settle();
  observer.on_del = [&] { clients().destroy(); };
  in_round([&] { client.close(CloseCode::kNormal, {}); });
  EXPECT_EQ(take_log(), (Log{"closed 1006 cancelled", "freed"}));
}

TEST_F(ObservedClientTest, MayReopenTheClientWhoseConnectionEnds) {
  reconnects();
  Client& client = open();
  observer.on_del = [&] {
    EXPECT_TRUE(client.reopen(CloseCode::kNormal, {}));
    settle();
    far().open();
    settle();
  };
  far().close();
  settle();
  EXPECT_EQ(take_log(), (Log{"open"}));
  EXPECT_EQ(client.state(), Client::State::kOpen);
  EXPECT_EQ(clients().count(), 1U);
}

TEST_F(ObservedClientTest, MayEndTheClientThatOpensAndDoesNotRead) {
  Client& client = connect();
  client.set_reading(false);
  settle();
  observer.on_del = [&] { client.terminate(); };
  far().open();
  settle();
  EXPECT_EQ(take_log(), (Log{"closed 1006 cancelled open", "freed"}));
}

// --- Callbacks that end everything ---

// Whatever happens, and whatever is done then, on_client_closed() comes once, and everything is freed.
class ClientCallbacks : public ClientTest, public testing::WithParamInterface<std::string> {
 protected:
  void play() {
    options.asks_owner = GetParam() == "attempt";
    reconnects();
    connect().set_notifies_pongs(true);
    settle();
    if (has_far_end()) far().say(far().grant() + server_text("a") + server_frame(0x8A, "b"));
    settle();
    if (has_far_end()) far().say(server_close(1001));
    settle();
    in_round([&] {
      if (clients().count() > 0) clients().first()->close(CloseCode::kNormal, {});
    });
    for (FarEnd& each : dials.far) each.close();
    settle();
  }
  bool has_far_end() { return !dials.far.empty() && !far().has_ended(); }
  long count(std::string_view beginning) const {
    return std::count_if(log.begin(), log.end(), [&](const auto& event) { return event.rfind(beginning, 0) == 0; });
  }
  void check() {
    EXPECT_EQ(clients().count(), 0U);
    EXPECT_EQ(count(GetParam()) > 0, true);
    EXPECT_EQ(count("freed"), 1);
    EXPECT_EQ(count("closed"), 1);
    EXPECT_EQ(dials.alive, 0);
    EXPECT_EQ(loop().memory().used(), 0U);
    EXPECT_EQ(loop().channel_count(), 0U);
  }
  // The first time that the event comes.
  void on_event(std::function<void(Client&)> reaction) {
    handler.action = [this, reaction = std::move(reaction)](Client& client, const std::string& event) {
      if (!was_there_ && event.rfind(GetParam(), 0) == 0) {
        was_there_ = true;
        reaction(client);
      }
    };
  }

 private:
  bool was_there_ = false;
};

TEST_P(ClientCallbacks, MayClose) {
  on_event([](Client& client) { client.close(CloseCode::kNormal, "bye"); });
  play();
  check();
}

TEST_P(ClientCallbacks, MayTerminate) {
  on_event([](Client& client) { client.terminate(); });
  play();
  check();
}

TEST_P(ClientCallbacks, MaySendACloseFrame) {
  on_event([](Client& client) { client.send_close(CloseCode::kNormal, "bye"); });
  play();
  check();
}

TEST_P(ClientCallbacks, MayReopen) {
  on_event([](Client& client) { client.reopen(CloseCode::kNormal, "again"); });
  play();
  check();
}

TEST_P(ClientCallbacks, MayDestroyEverything) {
  on_event([this](Client&) { clients().destroy(); });
  play();
  check();
}

TEST_P(ClientCallbacks, MayAbandonEverything) {
  on_event([this](Client&) { clients().abandon(); });
  play();
  EXPECT_EQ(clients().count(), 0U);
  EXPECT_EQ(count("freed"), 1);
  EXPECT_EQ(loop().channel_count(), 0U);
}

TEST_P(ClientCallbacks, MayServeTheLoop) {
  on_event([this](Client&) { settle(); });
  play();
  check();
}

TEST_P(ClientCallbacks, MayCloseAndServeTheLoop) {
  on_event([this](Client& client) {
    client.close(CloseCode::kNormal, "bye");
    settle();
  });
  play();
  check();
}

INSTANTIATE_TEST_SUITE_P(Events, ClientCallbacks,
                         testing::Values("attempt", "open", "message", "pong", "retry", "closed"),
                         [](const auto& its) { return its.param; });

}  // namespace
}  // namespace websockets
