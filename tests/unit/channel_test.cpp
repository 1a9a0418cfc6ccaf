// SPDX-License-Identifier: MIT
#include "loop/channel.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "certificate_file.h"
#include "loop_fixture.h"
#include "net/tls_client_context.h"
#include "net/tls_server_context.h"
#include "tls_client.h"
#include "tls_server.h"

namespace websockets {
namespace {

using Linger = Channel::Linger;
using Reading = Channel::Reading;

class ChannelTest : public LoopFixture {
 protected:
  // In one round, so that the cork holds what is said.
  template <typename Function>
  void in_round(Function function) {
    const Loop::Round round(loop());
    function();
  }
  std::size_t input_calls() const {
    return static_cast<std::size_t>(
        std::count_if(log.begin(), log.end(), [](const std::string& event) { return event.starts_with("input:"); }));
  }
  // More than the kernel takes at once. Returns how much that is.
  static std::size_t say_too_much(FakeSpeaker& speaker) {
    constexpr std::size_t kTooMuch = 4U << 20U;
    speaker.say(std::string(kTooMuch, 'x'));
    return kTooMuch;
  }
};

// --- Input ---

TEST_F(ChannelTest, HandsUpWhatArrives) {
  FakeSpeaker speaker(loop(), log);
  write_all(speaker.far.get(), "hello");
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"input:hello"}));
  EXPECT_EQ(loop().stats().bytes_received, 5U);
  EXPECT_FALSE(speaker.channel().has_unread_input());
}

TEST_F(ChannelTest, WhatTheBudgetDoesNotReachIsGivenAgain) {
  FakeSpeaker speaker(loop(), log);
  speaker.at_once = 1;
  speaker.cost = kQuantum;
  write_all(speaker.far.get(), "abc");
  int turns = 0;
  for (; speaker.input_bytes < 3; ++turns) {
    loop().service(0);
    EXPECT_TRUE(speaker.channel().is_bulk());
    EXPECT_EQ(speaker.channel().has_unread_input(), speaker.input_bytes < 3);
    EXPECT_EQ(speaker.channel().interest(), speaker.input_bytes < 3 ? 0U : kReadable)
        << "the kernel holds what follows";
  }
  EXPECT_EQ(take_log(), (Log{"input:a", "input:b", "input:c"}));
  EXPECT_GT(turns, 1) << "a quantum each";
}

TEST_F(ChannelTest, TheRestOfOneThatHasItsBudgetComesAtOnce) {
  FakeSpeaker speaker(loop(), log);
  speaker.at_once = 1;
  write_all(speaker.far.get(), "abc");
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"input:a", "input:b", "input:c"}));
}

TEST_F(ChannelTest, ReadsNothingWhileReadingIsOff) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().set_reading(Reading::kOff);
  speaker.channel().update_interest();
  EXPECT_EQ(speaker.channel().interest(), 0U);
  write_all(speaker.far.get(), "hello");
  loop().service(0);
  EXPECT_EQ(take_log(), Log{});
  EXPECT_FALSE(speaker.channel().has_unread_input()) << "the kernel has it";
  speaker.channel().set_reading(Reading::kOn);
  speaker.channel().update_interest();
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"input:hello"}));
}

TEST_F(ChannelTest, KeepsWhatIsReadAhead) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().set_reading(Reading::kAhead);
  write_all(speaker.far.get(), "hello");
  loop().service(0);
  EXPECT_EQ(take_log(), Log{});
  EXPECT_TRUE(speaker.channel().has_unread_input());
  EXPECT_EQ(speaker.channel().interest(), kReadable) << "the end would be noticed";
  speaker.channel().set_reading(Reading::kOn);
  speaker.channel().defer();
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"deferred", "input:hello"}));
}

TEST_F(ChannelTest, ReadsOnlySoMuchAhead) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().set_reading(Reading::kAhead);
  write_all(speaker.far.get(), std::string(100'000, 'x'));
  while (speaker.channel().interest() != 0) loop().service(0);
  EXPECT_LT(loop().memory().used(), 50'000U) << "the rest waits in the kernel";
  EXPECT_EQ(take_log(), Log{});
}

TEST_F(ChannelTest, NoticesTheEndAhead) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().set_reading(Reading::kAhead);
  speaker.far.reset();
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"end"}));
}

TEST_F(ChannelTest, KeepsTheRestWhenReadingIsSwitchedOffMeanwhile) {
  FakeSpeaker speaker(loop(), log);
  speaker.at_once = 1;
  speaker.action = [&](const std::string& event) {
    if (event == "input:a") speaker.channel().set_reading(Reading::kOff);
  };
  write_all(speaker.far.get(), "abc");
  settle();
  EXPECT_EQ(take_log(), (Log{"input:a"}));
  speaker.channel().set_reading(Reading::kOn);
  speaker.channel().defer();
  settle();
  EXPECT_EQ(take_log(), (Log{"deferred", "input:b", "input:c"}));
}

TEST_F(ChannelTest, GoesOnWithoutInputWhileItsHandlerIsInTheMidstOfSomething) {
  FakeSpeaker speaker(loop(), log);
  speaker.cost = kQuantum;
  speaker.state.is_pending = true;
  speaker.action = [&](const std::string&) { speaker.state.is_pending = log.size() < 3; };
  write_all(speaker.far.get(), "a");
  while (log.size() < 3) loop().service(0);
  settle();
  EXPECT_EQ(take_log(), (Log{"input:a", "input:", "input:"}));
}

TEST_F(ChannelTest, IsNotCalledWithinItselfWhileItIsInTheMidstOfSomething) {
  FakeSpeaker speaker(loop(), log);
  speaker.cost = kQuantum;
  speaker.state.is_pending = true;
  speaker.action = [&](const std::string& event) {
    if (event == "deferred" || log.size() > 3) return;
    speaker.state.is_pending = log.size() < 3;
    const std::size_t before = input_calls();
    speaker.channel().defer();
    for (int i = 0; i < 3; ++i) loop().service(0);
    EXPECT_EQ(input_calls(), before);
  };
  write_all(speaker.far.get(), "a");
  while (speaker.state.is_pending) loop().service(0);
  settle();
}

TEST_F(ChannelTest, GoesOnWhenItHadItsQuantumForItsOutput) {
  FakeSpeaker speaker(loop(), log);
  speaker.cost = kQuantum;
  speaker.state.is_pending = true;
  speaker.action = [&](const std::string&) { speaker.state.is_pending = log.size() < 4; };
  write_all(speaker.far.get(), "a");
  in_round([&] {
    speaker.channel().receive_now();
    loop().enqueue(speaker.channel());
  });
  while (log.size() < 4) loop().service(0);
  EXPECT_EQ(take_log(), (Log{"input:a", "input:", "input:", "input:"}));
}

TEST_F(ChannelTest, ReceivesInPlaceWhereItsHandlerHasSpace) {
  FakeSpeaker speaker(loop(), log);
  std::array<std::uint8_t, 100> space{};
  speaker.space = space;
  write_all(speaker.far.get(), "not asked");
  loop().service(0);
  speaker.state.has_direct_space = true;
  write_all(speaker.far.get(), "head");
  loop().service(0);
  write_all(speaker.far.get(), "body");
  loop().service(0);
  speaker.space = {};
  write_all(speaker.far.get(), "no space");
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"input:not asked", "input:head", "in place:body", "input:no space"}));
}

TEST_F(ChannelTest, HearsNothingWithinItselfWhileACallbackServesTheOthers) {
  FakeSpeaker speaker(loop(), log, "a");
  FakeSpeaker other(loop(), log, "b");
  speaker.action = [&](const std::string& event) {
    if (event != "input:1") return;
    EXPECT_TRUE(speaker.channel().could_not_receive());
    write_all(speaker.far.get(), "2");
    write_all(other.far.get(), "3");
    settle();
    log.emplace_back("a returns");
  };
  write_all(speaker.far.get(), "1");
  settle();
  EXPECT_EQ(take_log(), (Log{"a input:1", "b input:3", "a returns", "a input:2"}));
  EXPECT_FALSE(speaker.channel().could_not_receive());
}

TEST_F(ChannelTest, ReceivesNowWhatTheLoopHasNotSeen) {
  FakeSpeaker speaker(loop(), log);
  write_all(speaker.far.get(), "hello");
  in_round([&] { speaker.channel().receive_now(); });
  EXPECT_EQ(take_log(), (Log{"input:hello"}));
}

TEST_F(ChannelTest, ABulkOneWaitsForItsQuantum) {
  FakeSpeaker bulk(loop(), log, "bulk");
  FakeSpeaker sparse(loop(), log, "sparse");
  bulk.channel().set_bulk(true);
  write_all(bulk.far.get(), "1");
  write_all(sparse.far.get(), "2");
  settle();
  EXPECT_EQ(take_log(), (Log{"sparse input:2", "bulk input:1"}));
}

TEST_F(ChannelTest, OneThatOverdrawsItsBudgetIsBulk) {
  FakeSpeaker speaker(loop(), log);
  speaker.cost = 3 * kQuantum;
  write_all(speaker.far.get(), "a");
  settle();
  EXPECT_TRUE(speaker.channel().is_bulk());
  speaker.cost = 0;
  write_all(speaker.far.get(), "b");
  while (speaker.input_bytes < 2) loop().service(0);
  EXPECT_FALSE(speaker.channel().is_bulk());
}

TEST_F(ChannelTest, ThePreambleComesBeforeTheInput) {
  FakeSpeaker speaker(loop(), log);
  speaker.preamble_bytes = 5;
  write_all(speaker.far.get(), "PRO");
  settle();
  write_all(speaker.far.get(), "XYhello");
  settle();
  EXPECT_EQ(take_log(), (Log{"preamble:PRO", "preamble:XY", "input:hello"}));
}

TEST_F(ChannelTest, IsLostWhenThePeerEndsWithinThePreamble) {
  FakeSpeaker speaker(loop(), log);
  speaker.preamble_bytes = 5;
  write_all(speaker.far.get(), "PRO");
  settle();
  speaker.far.reset();
  settle();
  EXPECT_EQ(take_log(), (Log{"preamble:PRO", "closed", "lost", "released"}));
}

// --- TLS ---

class TlsChannelTest : public ChannelTest {
 protected:
  void SetUp() override {  // NOLINT(readability-identifier-naming): GoogleTest's
    TlsOptions options;
    options.files = {file_.path(), file_.path()};
    Result<std::unique_ptr<TlsServerContext>> context = TlsServerContext::create(options, nullptr);
    ASSERT_TRUE(context) << context.error().text;
    SocketPair pair = local_pair();
    make_nonblocking(pair.far.get());
    const int fd = pair.near.get();
    speaker_.emplace(loop(), log, "", std::move(pair), (*context)->new_session(fd));
    client_.emplace(speaker_->far.get());
    for (int i = 0; i < 10 && !client_->shake_hands(); ++i) loop().service(0);
    settle();
    ASSERT_EQ(take_log(), Log{});
  }

  std::optional<TlsClient> client_;
  std::optional<FakeSpeaker> speaker_;

 private:
  CertificateFile file_;
};

TEST_F(TlsChannelTest, SaysAndHears) {
  client_->write("hello");
  settle();
  EXPECT_EQ(take_log(), (Log{"input:hello"}));
  speaker_->say("hi");
  EXPECT_EQ(client_->read(), "hi");
}

// Nobody tells that: the kernel has nothing any more.
TEST_F(TlsChannelTest, WhatWasTakenFromTheKernelIsHandedUpWithoutMoreComing) {
  speaker_->cost = kQuantum;
  for (const char* text : {"a", "b", "c"}) client_->write(text);
  for (int i = 0; i < 10; ++i) loop().service(0);
  std::erase(log, "deferred");
  EXPECT_EQ(take_log(), (Log{"input:a", "input:b", "input:c"}));
}

TEST_F(TlsChannelTest, WhatWasTakenFromTheKernelIsHandedUpOnceReadingIsOn) {
  speaker_->action = [&](const std::string& event) {
    if (event == "input:a") speaker_->channel().set_reading(Reading::kOff);
  };
  for (const char* text : {"a", "b"}) client_->write(text);
  settle();
  EXPECT_EQ(take_log(), (Log{"input:a"}));
  speaker_->channel().set_reading(Reading::kOn);
  speaker_->channel().defer();
  settle();
  EXPECT_EQ(take_log(), (Log{"deferred", "input:b"}));
}

TEST_F(TlsChannelTest, NobodyElseMayMoveItsBytes) {
  EXPECT_FALSE(speaker_->channel().takes_received());
  speaker_->append("hello");
  std::array<iovec, 4> parts;
  EXPECT_EQ(speaker_->channel().begin_send(parts), 0U);
}

// --- TLS, as a client ---

class TlsClientChannelTest : public ChannelTest {
 protected:
  void SetUp() override {  // NOLINT(readability-identifier-naming): GoogleTest's
    TlsClientOptions options;
    options.verify = false;
    auto made = TlsClientContext::create(options);
    ASSERT_TRUE(made) << made.error().text;
    context_ = std::move(*made);
  }

  // Shakes hands; the server says something at the end of that. `outer`: within a session of that one.
  void speak(TlsServer& server, std::string_view greeting = "", TlsServer* outer = nullptr) {
    SocketPair pair = local_pair();
    make_nonblocking(pair.far.get());
    const int fd = pair.near.get();
    SslSession session;
    if (outer != nullptr) {
      outer->begin(pair.far.get());
      session = shake_hands(*outer, context_->new_session(fd, "proxy.example", ""));
      server.begin(*outer);
    } else {
      server.begin(pair.far.get());
    }
    session = shake_hands(server, context_->new_session(fd, "example.org", "", std::move(session)), greeting);
    speaker_.emplace(loop(), log, "", std::move(pair), std::move(session));
  }

  TlsServer server_{MadeCertificate({"leaf", ""})};
  TlsServer outer_{MadeCertificate({"proxy", ""})};
  std::optional<FakeSpeaker> speaker_;
  std::shared_ptr<TlsClientContext> context_;

 private:
  static SslSession shake_hands(TlsServer& server, SslSession session, std::string_view greeting = "") {
    bool is_through = false;
    for (int i = 0; i < 10 && !(SSL_do_handshake(session.get()) == 1 && is_through); ++i) {
      const bool was_through = std::exchange(is_through, server.shake_hands());
      if (is_through && !was_through && !greeting.empty()) server.write(greeting);
    }
    EXPECT_TRUE(is_through);
    return session;
  }
};

// Nobody tells that: the kernel has nothing any more.
TEST_F(TlsClientChannelTest, WhatCameWithTheHandshakeIsHandedUp) {
  SSL_CTX_set_max_proto_version(server_.context(), TLS1_2_VERSION);
  speak(server_, "hello");
  settle();
  EXPECT_EQ(take_log(), (Log{"deferred", "input:hello"}));
}

TEST_F(TlsClientChannelTest, SendsAndReceivesMuch) {
  const std::string text(1U << 20U, 'x');
  for (TlsServer* const outer : {static_cast<TlsServer*>(nullptr), &outer_}) {
    speak(server_, "", outer);
    speaker_->say(text);
    std::string heard;
    std::size_t said = 0;
    while (speaker_->input_bytes < text.size()) {
      loop().service(0);
      heard += server_.read();
      said += server_.write(std::string_view(heard).substr(said));
    }
    EXPECT_TRUE(heard == text);
    EXPECT_EQ(speaker_->channel().interest(), kReadable);
  }
}

// TLS 1.3: the client is through when the server looks at its certificate.
TEST_F(TlsClientChannelTest, TheHandlerIsToldOfALateRefusal) {
  SSL_CTX_set_verify(server_.context(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SocketPair pair = local_pair();
  make_nonblocking(pair.far.get());
  server_.begin(pair.far.get());
  SslSession session = context_->new_session(pair.near.get(), "example.org", "");
  EXPECT_EQ(SSL_do_handshake(session.get()), -1);
  EXPECT_FALSE(server_.shake_hands());
  EXPECT_EQ(SSL_do_handshake(session.get()), 1);
  speaker_.emplace(loop(), log, "", std::move(pair), std::move(session));
  std::string reason;
  speaker_->action = [&](const std::string& event) {
    if (event == "handshake failed") reason = speaker_->channel().stream().tls_error();
  };
  server_.shake_hands();
  settle();
  EXPECT_EQ(take_log(), (Log{"handshake failed", "closed", "lost", "released"}));
  EXPECT_EQ(reason, "TLS with 'example.org': tlsv13 alert certificate required");
}

// --- Output ---

TEST_F(ChannelTest, SendsAtOnceOutsideARound) {
  FakeSpeaker speaker(loop(), log);
  speaker.say("hello");
  EXPECT_EQ(speaker.heard(), "hello");
  EXPECT_EQ(take_log(), (Log{"sent all"}));
  EXPECT_EQ(loop().stats().bytes_sent, 5U);
}

TEST_F(ChannelTest, TheCorkHoldsOutputUntilTheRoundEnds) {
  FakeSpeaker speaker(loop(), log);
  in_round([&] {
    speaker.say("hel");
    in_round([&] { speaker.say("lo"); });
    EXPECT_EQ(speaker.heard(), "");
  });
  EXPECT_EQ(speaker.heard(), "hello");
  EXPECT_EQ(take_log(), (Log{"sent all"})) << "by one call";
}

TEST_F(ChannelTest, TheCorkDoesNotHoldMuch) {
  FakeSpeaker speaker(loop(), log);
  in_round([&] {
    speaker.say(std::string(256U << 10U, 'x'));
    EXPECT_NE(speaker.heard(), "");
  });
}

TEST_F(ChannelTest, FlushNowDoesNotWaitForTheRoundToEnd) {
  FakeSpeaker speaker(loop(), log);
  in_round([&] {
    speaker.say("hello");
    EXPECT_FALSE(speaker.channel().flush_now()) << "nothing is left";
    EXPECT_EQ(speaker.heard(), "hello");
  });
  EXPECT_EQ(take_log(), (Log{"sent all"}));
}

TEST_F(ChannelTest, IsWatchedForWritingOnlyWhileThePeerTakesNoMore) {
  FakeSpeaker speaker(loop(), log);
  const std::size_t bytes = say_too_much(speaker);
  EXPECT_EQ(take_log(), (Log{"sent some"}));
  settle();  // its turns, until the kernel is full
  EXPECT_EQ(speaker.channel().interest(), kReadable | kWritable);
  EXPECT_FALSE(speaker.channel().flush_now());
  std::size_t heard = 0;
  while (heard < bytes) {
    heard += speaker.heard().size();
    loop().service(0);
  }
  EXPECT_EQ(speaker.channel().interest(), kReadable);
  EXPECT_EQ(take_log().back(), "sent all");
}

TEST_F(ChannelTest, MuchOutputWaitsForItsTurnWhenOthersHaveSentMuch) {
  FakeSpeaker speaker(loop(), log);
  const std::string much((128U << 10U) + 1, 'x');
  in_round([&] {
    loop().scheduler().charge_slow_send();
    speaker.say(much);
  });
  EXPECT_EQ(speaker.heard(), "") << "not in this round";
  std::string heard;
  while (heard.size() < much.size()) {
    loop().service(0);
    heard += speaker.heard();
  }
  EXPECT_EQ(heard, much);
}

TEST_F(ChannelTest, LittleOutputDoesNotWait) {
  FakeSpeaker speaker(loop(), log);
  in_round([&] {
    loop().scheduler().charge_slow_send();
    speaker.say("hello");
  });
  EXPECT_EQ(speaker.heard(), "hello");
}

TEST_F(ChannelTest, SomebodyElseMaySendItsOutput) {
  FakeSpeaker speaker(loop(), log);
  std::array<iovec, 4> parts;
  EXPECT_EQ(speaker.channel().begin_send(parts), 0U) << "there is nothing";
  speaker.append("hello");
  ASSERT_EQ(speaker.channel().begin_send(parts), 1U);
  EXPECT_EQ(parts[0].iov_len, 5U);
  speaker.channel().on_sent({IoStatus::kWouldBlock, 2});
  speaker.channel().update_interest();
  EXPECT_EQ(take_log(), (Log{"sent some"}));
  EXPECT_EQ(speaker.channel().begin_send(parts), 0U) << "the peer takes no more";
  loop().service(0);
  EXPECT_EQ(speaker.heard(), "llo");
}

// --- Memory ---

TEST_F(ChannelTest, CountsOutputAndGivesItBack) {
  FakeSpeaker speaker(loop(), log);
  speaker.append(std::string(10'000, 'x'));
  EXPECT_GE(loop().memory().used(), 10'000U);
  EXPECT_EQ(speaker.channel().held_bytes(), loop().memory().used());
  speaker.channel().flush();
  EXPECT_EQ(loop().memory().used(), 0U);
  speaker.append(std::string(10'000, 'x'));
  in_round([&] { speaker.channel().close(); });
  EXPECT_EQ(loop().memory().used(), 0U);
}

TEST_F(ChannelTest, CountsInputThatWaits) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().set_reading(Reading::kAhead);
  write_all(speaker.far.get(), std::string(10'000, 'x'));
  loop().service(0);
  EXPECT_GE(loop().memory().used(), 10'000U);
  speaker.channel().set_reading(Reading::kOn);
  speaker.channel().defer();
  loop().service(0);
  EXPECT_EQ(take_log(), (Log{"deferred", "much input"}));
  EXPECT_EQ(loop().memory().used(), 0U);
}

TEST_F(ChannelTest, CountsWhatItsHandlerHoldsWhenItSaysSo) {
  FakeSpeaker speaker(loop(), log);
  speaker.held = 1000;
  write_all(speaker.far.get(), "a");
  loop().service(0);
  EXPECT_EQ(loop().memory().used(), 0U) << "it was not asked";
  speaker.state.holds_bytes = true;
  write_all(speaker.far.get(), "b");
  loop().service(0);
  EXPECT_EQ(loop().memory().used(), 1000U);
  speaker.held = 10;
  speaker.channel().count_input();
  EXPECT_EQ(loop().memory().used(), 10U);
}

TEST_F(ChannelTest, CountsNoInputOnceItDrains) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().set_reading(Reading::kAhead);
  write_all(speaker.far.get(), std::string(10'000, 'x'));
  loop().service(0);
  EXPECT_GE(loop().memory().used(), 10'000U);
  speaker.channel().drain(Linger::kUntilPeerEnds);
  EXPECT_EQ(loop().memory().used(), 0U);
}

TEST_F(ChannelTest, ShedIsToldOnlyWhileItIsNotClosed) {
  FakeSpeaker speaker(loop(), log);
  in_round([&] {
    speaker.channel().shed();
    speaker.channel().shed();
  });
  EXPECT_EQ(take_log(), (Log{"shed", "closed", "released"}));
}

TEST_F(ChannelTest, ShortOfMemoryOnlyThisOneIsLost) {
  FakeSpeaker speaker(loop(), log, "a");
  FakeSpeaker other(loop(), log, "b");
  speaker.action = [&](const std::string& event) {
    if (event == "input:1") throw std::bad_alloc();
  };
  write_all(speaker.far.get(), "1");
  write_all(other.far.get(), "2");
  settle();
  EXPECT_EQ(take_log(), (Log{"a input:1", "a closed", "a lost", "b input:2", "a released"}));
}

// --- Time ---

TEST_F(ChannelTest, ItsDeadlineComesOnce) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().set_deadline(0);
  settle();
  settle();
  EXPECT_EQ(take_log(), (Log{"deadline"}));
  speaker.channel().set_deadline(0);
  speaker.channel().cancel_deadline();
  settle();
  EXPECT_EQ(take_log(), Log{});
}

TEST_F(ChannelTest, ADeadlineThatComesLateIsPutOffOnce) {
  FakeSpeaker speaker(loop(), log);
  bool has_second_chance = false;
  speaker.action = [&](const std::string&) { has_second_chance = speaker.channel().takes_second_chance(); };
  const auto miss_deadline = [&] {
    loop().schedule_at(speaker.channel(), loop().now_ms() - 5000);
    settle();
  };
  speaker.channel().set_deadline(0);
  settle();
  EXPECT_FALSE(has_second_chance) << "it comes in time";
  miss_deadline();
  EXPECT_TRUE(has_second_chance);
  EXPECT_TRUE(speaker.channel().scheduled());
  miss_deadline();
  EXPECT_FALSE(has_second_chance) << "only once";
  EXPECT_EQ(take_log(), (Log{"deadline", "deadline", "deadline"}));
}

// --- Endings ---

TEST_F(ChannelTest, ClosesNowAndIsReleasedWhenTheOutermostRoundEnds) {
  FakeSpeaker speaker(loop(), log);
  speaker.append("dropped");
  in_round([&] {
    in_round([&] {
      speaker.channel().close();
      EXPECT_TRUE(speaker.channel().is_closed());
      EXPECT_EQ(speaker.channel().fd(), -1);
      EXPECT_EQ(take_log(), (Log{"closed"}));
    });
    speaker.channel().close();
    EXPECT_FALSE(speaker.is_released());
    EXPECT_EQ(loop().channel_count(), 0U);
  });
  EXPECT_EQ(take_log(), (Log{"released"}));
  EXPECT_EQ(speaker.heard(), "(end)");
}

TEST_F(ChannelTest, NothingIsHandedUpAfterTheEnd) {
  FakeSpeaker speaker(loop(), log);
  speaker.at_once = 1;
  speaker.action = [&](const std::string& event) {
    if (event == "input:a") speaker.channel().close();
  };
  speaker.channel().defer();
  write_all(speaker.far.get(), "abc");
  in_round([&] {
    speaker.channel().receive_now();
    speaker.channel().on_ready(kReadable);
    speaker.channel().run_deferred();
  });
  settle();
  EXPECT_EQ(take_log(), (Log{"input:a", "closed", "released"}));
}

TEST_F(ChannelTest, SaysWhatIsQueuedWhenThePeerHasEnded) {
  FakeSpeaker speaker(loop(), log);
  speaker.append("hello");
  ::shutdown(speaker.far.get(), SHUT_WR);
  speaker.action = [&](const std::string& event) {
    if (event == "end") speaker.channel().drain(Linger::kUntilPeerEnds);
  };
  settle();
  EXPECT_EQ(take_log(), (Log{"sent all", "end", "closed", "released"}));
  EXPECT_EQ(speaker.heard(), "hello(end)");
}

// Over TCP the kernel answers what was not read with a reset, and the peer would lose what was sent.
TEST_F(ChannelTest, ClosesGentlyWhatHasUnreadInput) {
  FakeSpeaker speaker(loop(), log, {}, tcp_pair());
  in_round([&] {
    speaker.say("last words");
    speaker.channel().flush_now();
    write_all(speaker.far.get(), std::string(100'000, 'x'));
    speaker.append("dropped");
    speaker.channel().close_gently();
    EXPECT_TRUE(speaker.channel().is_closed());
    speaker.channel().close_gently();
  });
  EXPECT_EQ(speaker.heard(), "last words(end)");
}

TEST_F(ChannelTest, ItsHandlerSaysForHowLongItLingers) {
  LoopOptions options;
  options.linger_timeout_ms = 1'000'000'000;
  open(options);
  FakeSpeaker speaker(loop(), log);
  speaker.linger_ms = 1;
  in_round([&] { speaker.channel().drain(Linger::kUntilPeerEnds); });
  while (!speaker.is_released()) loop().service(-1);
  EXPECT_EQ(take_log(), (Log{"closed", "lost", "released"}));
}

TEST_F(ChannelTest, DrainsAndClosesWhenTheOutputHasLeft) {
  FakeSpeaker speaker(loop(), log);
  in_round([&] {
    speaker.append("bye");
    speaker.channel().drain(Linger::kNo);
    EXPECT_FALSE(speaker.channel().is_open());
    EXPECT_FALSE(speaker.channel().is_closed());
  });
  EXPECT_EQ(take_log(), (Log{"closed", "released"}));
  EXPECT_EQ(speaker.heard(), "bye(end)");
}

// RFC 9112 9.6
TEST_F(ChannelTest, LingersUntilThePeerEnds) {
  FakeSpeaker speaker(loop(), log);
  speaker.say("bye");
  speaker.channel().drain(Linger::kUntilPeerEnds);
  EXPECT_EQ(speaker.heard(), "bye(end)") << "its own side ends first";
  write_all(speaker.far.get(), "is dropped");
  settle();
  EXPECT_EQ(take_log(), (Log{"sent all"}));
  ::shutdown(speaker.far.get(), SHUT_WR);
  settle();
  EXPECT_EQ(take_log(), (Log{"closed", "released"}));
}

TEST_F(ChannelTest, LingersWithoutEndingBeforeThePeer) {
  FakeSpeaker speaker(loop(), log);
  speaker.say("bye");
  speaker.channel().drain(Linger::kPeerFirst);
  settle();
  EXPECT_EQ(speaker.heard(), "bye");
  ::shutdown(speaker.far.get(), SHUT_WR);
  settle();
  EXPECT_EQ(take_log(), (Log{"sent all", "closed", "released"}));
}

TEST_F(ChannelTest, LingersAnewForWhoReadsOn) {
  FakeSpeaker speaker(loop(), log);
  say_too_much(speaker);
  settle();
  speaker.channel().drain(Linger::kUntilPeerEnds);
  loop().schedule(speaker.channel(), 100'000'000);
  const std::uint64_t before_ms = speaker.channel().deadline_ms();
  settle();
  EXPECT_EQ(speaker.channel().deadline_ms(), before_ms);
  speaker.heard();
  settle();
  EXPECT_LT(speaker.channel().deadline_ms(), before_ms);
}

TEST_F(ChannelTest, NothingIsHandedUpWhileItDrains) {
  FakeSpeaker speaker(loop(), log);
  speaker.channel().defer();
  speaker.channel().drain(Linger::kUntilPeerEnds);
  write_all(speaker.far.get(), "dropped");
  settle();
  EXPECT_EQ(take_log(), Log{});
}

TEST_F(ChannelTest, OneThatWaitsForItsQuantumMayClose) {
  FakeSpeaker speaker(loop(), log);
  loop().enqueue(speaker.channel());
  in_round([&] { speaker.channel().close(); });
  EXPECT_FALSE(loop().scheduler().has_queued());
}

TEST_F(ChannelTest, LingersOnlySoLong) {
  LoopOptions options;
  options.linger_timeout_ms = 1;
  open(options);
  FakeSpeaker speaker(loop(), log);
  speaker.channel().drain(Linger::kUntilPeerEnds);
  while (!speaker.is_released()) loop().service(-1);
  EXPECT_EQ(take_log(), (Log{"closed", "lost", "released"}));
}

TEST_F(ChannelTest, APeerThatEndsWhileOutputWaitsStillGetsIt) {
  FakeSpeaker speaker(loop(), log);
  const std::size_t bytes = say_too_much(speaker);
  speaker.channel().drain(Linger::kUntilPeerEnds);
  ::shutdown(speaker.far.get(), SHUT_WR);
  std::size_t heard = 0;
  while (!speaker.is_released()) {
    settle();
    heard += speaker.heard().size();
  }
  EXPECT_EQ(heard, bytes + std::string_view("(end)").size());
}

TEST_F(ChannelTest, IsLostWhenThePeerResetsIt) {
  FakeSpeaker speaker(loop(), log, {}, tcp_pair());
  close_with_reset(speaker.far);
  while (!speaker.is_released()) loop().service(-1);
  EXPECT_EQ(speaker.channel().error(), ECONNRESET);
  EXPECT_EQ(take_log(), (Log{"closed", "lost", "released"}));
}

TEST_F(ChannelTest, ABrokenWriteIsToldAtOnceAndTheLossLater) {
  FakeSpeaker speaker(loop(), log);
  speaker.far.reset();
  in_round([&] {
    speaker.say("hello");
    speaker.channel().flush();
    EXPECT_EQ(take_log(), (Log{"broken"}));
    EXPECT_TRUE(speaker.channel().is_open());
    EXPECT_TRUE(speaker.channel().output().empty());
  });
  EXPECT_EQ(speaker.channel().error(), EPIPE);
  EXPECT_EQ(take_log(), Log{});
  settle();
  EXPECT_EQ(take_log(), (Log{"closed", "lost", "released"}));
}

TEST_F(ChannelTest, WhatIsHalfOfSomethingIsNotSentWhenItBreaksOff) {
  FakeSpeaker speaker(loop(), log);
  in_round([&] {
    speaker.say("half of ");
    speaker.channel().break_off();
  });
  settle();
  EXPECT_EQ(take_log(), (Log{"broken", "closed", "lost", "released"}));
  EXPECT_EQ(speaker.heard(), "(end)");
}

TEST_F(ChannelTest, NothingMoreIsHandedUpWhenItIsBrokenWhateverItsHandlerReads) {
  FakeSpeaker speaker(loop(), log);
  speaker.at_once = 1;
  speaker.action = [&](const std::string& event) {
    if (event != "input:a") return;
    speaker.channel().break_off();
    speaker.channel().set_reading(Reading::kOn);
  };
  write_all(speaker.far.get(), "ab");
  settle();
  EXPECT_EQ(take_log(), (Log{"input:a", "broken", "closed", "lost", "released"}));
}

TEST_F(ChannelTest, HandsUpNothingOnceItHasBrokenOff) {
  FakeSpeaker speaker(loop(), log);
  write_all(speaker.far.get(), "another request");
  in_round([&] {
    speaker.channel().break_off();
    speaker.channel().receive_now();
  });
  settle();
  EXPECT_EQ(take_log(), (Log{"broken", "closed", "lost", "released"}));
}

TEST_F(ChannelTest, OneThatIsAbandonedEndsWithoutAWord) {
  FakeSpeaker speaker(loop(), log);
  const UniqueFd elsewhere(::dup(speaker.channel().fd()));
  in_round([&] {
    speaker.say("dropped");
    speaker.channel().abandon();
  });
  EXPECT_EQ(take_log(), (Log{"closed", "released"}));
  EXPECT_EQ(speaker.heard(), "") << "the other process goes on";
}

}  // namespace
}  // namespace websockets
