// SPDX-License-Identifier: MIT
#include "websocket/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "session_fixture.h"
#include "websocket/prepared_message.h"

namespace websockets {
namespace {

using protocol_support::close_body;
using protocol_support::FrameSpec;
using protocol_support::joined;
using protocol_support::make_frame;
using namespace session_support;

// There is one in each connection.
static_assert(sizeof(void*) != 8 || sizeof(Session) <= 72);

class Keeper final : public PayloadOwner {
 public:
  void release_payload(int) override { ++released; }
  int released = 0;
};

// Of both roles, what does not depend on it.
class SessionTest : public ::testing::TestWithParam<Role> {
 protected:
  bool is_client() const { return GetParam() == Role::kClient; }

  // What the peer sends.
  Bytes frame(Opcode opcode, std::string payload = "", bool fin = true) const {
    return make_frame({.opcode = opcode, .payload = std::move(payload), .fin = fin, .masked = !is_client()});
  }
  Bytes text(std::string payload) const { return frame(Opcode::kText, std::move(payload)); }
  Bytes close_frame(std::string body) const { return frame(Opcode::kClose, std::move(body)); }

  WriteStatus send(std::string_view payload, Opcode opcode = Opcode::kText, bool fin = true) {
    return side.session.send(opcode, fin, as_bytes(payload));
  }
  WriteStatus broadcast(std::string_view payload) {
    PreparedMessage message(endpoint.memory, Opcode::kText, as_bytes(payload));
    return side.session.send(message);
  }

  // The frames that left since; all of a client's are masked (RFC 6455 5.1), none of a server's.
  Log sent() {
    Log frames = frames_in(side.take_sent());
    for (std::string& one : frames) {
      const std::size_t mark = one.find('!');
      EXPECT_EQ(mark != std::string::npos && mark < one.find(':'), is_client()) << one;
      if (is_client()) one.erase(mark, 1);
    }
    return frames;
  }

  // In the event, once.
  void when(const std::string& event, std::function<void(Session&)> action) {
    side.handler.action = [event, action = std::move(action), is_done = false](Session& session,
                                                                               const std::string& what) mutable {
      if (what == event && !std::exchange(is_done, true)) action(session);
      return true;
    };
  }
  void fail_in(const std::string& event) {
    side.handler.action = [event](Session&, const std::string& what) { return what != event; };
  }

  std::string end_of_handshake() const { return is_client() ? "end await peer" : "end after output"; }

  Endpoint endpoint{GetParam()};
  Side side{endpoint};
  Session& session = side.session;
};

INSTANTIATE_TEST_SUITE_P(Roles, SessionTest, ::testing::Values(Role::kServer, Role::kClient),
                         [](const auto& role) { return role.param == Role::kServer ? "server" : "client"; });

// --- Messages ---

TEST_P(SessionTest, DeliversMessagesOfOneInputInOneBatch) {
  side.receive(joined({text("one"), frame(Opcode::kBinary, "two"), text("")}));
  EXPECT_EQ(side.take_log(), Log({"text:one", "binary:two", "text:"}));
  EXPECT_EQ(side.handler.batches, 1);
  EXPECT_EQ(endpoint.stats.messages_received, 3U);
}

TEST_P(SessionTest, DeliversFragmentsWithControlFramesBetween) {
  session.set_notifies_pongs(true);
  side.receive(
      joined({frame(Opcode::kText, "a", false), frame(Opcode::kPing, "!"), frame(Opcode::kContinuation, "b", false),
              frame(Opcode::kPong, "?"), frame(Opcode::kContinuation, "c")}));
  EXPECT_EQ(side.take_log(), Log({"pong:?", "text:abc"}));
  EXPECT_EQ(sent(), Log({"pong:!"}));
}

TEST_P(SessionTest, ReceivesLargePayloadsInPlace) {
  const std::string payload(100'000, 'x');
  const Bytes bytes = frame(Opcode::kBinary, payload);
  side.receive({bytes.begin(), bytes.begin() + 5000});
  std::size_t given = 5000;
  while (given < bytes.size()) {
    const std::span<std::uint8_t> space = session.direct_space();
    if (space.empty()) {
      side.receive({bytes.begin() + static_cast<std::ptrdiff_t>(given), bytes.end()});
      break;
    }
    const std::size_t count = std::min(space.size(), bytes.size() - given);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(given), count, space.begin());
    Budget budget;
    session.received_in_place(count, budget, side.now_ms);
    given += count;
    EXPECT_EQ(session.received_bytes() > 0, given < bytes.size());
  }
  EXPECT_EQ(side.take_log(), Log({"binary:" + payload}));
  EXPECT_TRUE(session.direct_space().empty());
}

TEST_P(SessionTest, DeliversChunksAsTheyArrive) {
  session.set_chunk_mode(true);
  const Bytes bytes = text("abcdef");
  side.receive({bytes.begin(), bytes.end() - 4});
  EXPECT_EQ(session.remaining_frame_bytes(), 4U);
  EXPECT_EQ(endpoint.stats.messages_received, 0U);
  side.receive({bytes.end() - 4, bytes.end()});
  EXPECT_EQ(side.take_log(), Log({"chunk text:ab", "last text:cdef"}));
  EXPECT_EQ(endpoint.stats.messages_received, 1U);
}

TEST_P(SessionTest, ChunkModeBeginsAndEndsWithinABatch) {
  when("text:one", [](Session& one) { one.set_chunk_mode(true); });
  side.receive(joined({text("one"), text("two")}));
  when("last text:three", [](Session& one) { one.set_chunk_mode(false); });
  side.receive(joined({text("three"), text("four")}));
  EXPECT_EQ(side.take_log(), Log({"text:one", "last text:two", "last text:three", "text:four"}));
}

TEST_P(SessionTest, StopsWhenTheBudgetIsSpent) {
  Bytes bytes;
  for (int i = 0; i < 1000; ++i) bytes = joined({std::move(bytes), text("x")});
  std::span<std::uint8_t> input(bytes);
  Budget budget;
  session.receive(input, budget, 0);
  EXPECT_TRUE(budget.is_spent());
  const std::size_t delivered = side.take_log().size();
  EXPECT_GT(delivered, 100U);
  EXPECT_LT(delivered, 1000U);
  side.receive({input.begin(), input.end()});
  EXPECT_EQ(side.take_log().size(), 1000 - delivered);
}

TEST_P(SessionTest, PongsAreReportedOnlyToWhoWantsThem) {
  side.receive(frame(Opcode::kPong, "1"));
  session.set_notifies_pongs(true);
  side.receive(frame(Opcode::kPong, "2"));
  EXPECT_EQ(side.take_log(), Log({"pong:2"}));
}

TEST_P(SessionTest, AnswersPings) {
  side.receive(joined({frame(Opcode::kPing, "a"), frame(Opcode::kPing)}));
  EXPECT_EQ(sent(), Log({"pong:a", "pong:"}));
  EXPECT_EQ(side.take_log(), Log());
}

TEST_P(SessionTest, LeavesOutPongsThatHaveNoRoom) {
  endpoint.rules.max_backpressure_bytes = 3;
  side.carrier.room = 0;
  side.receive(joined({frame(Opcode::kPing, "a"), frame(Opcode::kPing, "b"), text("c")}));
  EXPECT_EQ(side.take_log(), Log({"text:c"}));
  side.carrier.room = FakeCarrier::kAnything;
  EXPECT_EQ(sent(), Log({"pong:a"}));
}

// --- Flow control ---

TEST_P(SessionTest, ReadingIsSwitchedOffInTheMiddleOfABatch) {
  when("text:two", [](Session& one) { one.set_reading(false, 0); });
  const Bytes rest = side.receive(joined({text("one"), text("two"), text("three")}));
  EXPECT_EQ(side.take_log(), Log({"text:one", "text:two", "reading off"}));
  EXPECT_FALSE(session.takes_messages());
  session.set_reading(false, 0);
  session.set_reading(true, 0);
  session.set_reading(true, 0);
  side.receive(rest);
  EXPECT_EQ(side.take_log(), Log({"reading on", "text:three"}));
}

TEST_P(SessionTest, ReadingIsSwitchedOffAndOnWithinAnEvent) {
  when("text:one", [](Session& one) {
    one.set_reading(false, 0);
    one.set_reading(true, 0);
  });
  side.receive(joined({text("one"), text("two")}));
  EXPECT_EQ(side.take_log(), Log({"text:one", "reading off", "reading on", "text:two"}));
}

TEST_P(SessionTest, ClosingSwitchesReadingOn) {
  session.set_reading(false, 0);
  session.close(CloseCode::kNormal, "");
  EXPECT_EQ(side.take_log(), Log({"reading off", "reading on", "session closed", "closed 1000:"}));
  EXPECT_TRUE(session.wants_input());
}

// --- Sending ---

TEST_P(SessionTest, SendsFramesInOrder) {
  const std::string large(5000, 'l');
  EXPECT_EQ(send("a"), WriteStatus::kAccepted);
  EXPECT_EQ(send(large, Opcode::kBinary), WriteStatus::kAccepted);
  EXPECT_EQ(send("", Opcode::kPing), WriteStatus::kAccepted);
  EXPECT_EQ(send("f", Opcode::kText, false), WriteStatus::kAccepted);
  EXPECT_TRUE(session.is_fragmenting());
  EXPECT_EQ(send("p", Opcode::kPong), WriteStatus::kAccepted);
  EXPECT_TRUE(session.is_fragmenting());
  EXPECT_EQ(send("g", Opcode::kContinuation), WriteStatus::kAccepted);
  EXPECT_FALSE(session.is_fragmenting());
  EXPECT_EQ(endpoint.stats.messages_sent, 3U);
  EXPECT_EQ(side.carrier.added, 6);
  EXPECT_EQ(sent(), Log({"text:a", "binary:" + large, "ping:", "text+:f", "pong:p", "continuation:g"}));
}

TEST_P(SessionTest, HoldsPreparedMessagesBetweenFragments) {
  send("a", Opcode::kText, false);
  EXPECT_EQ(broadcast("shared"), WriteStatus::kAccepted);
  const std::string long_one(2000, 's');
  EXPECT_EQ(broadcast(long_one), WriteStatus::kAccepted);
  EXPECT_GT(session.buffered_bytes(), 2000U);
  EXPECT_GT(session.received_bytes() + session.held_output_bytes(), 2000U);
  EXPECT_EQ(session.received_bytes(), 0U);
  send("b", Opcode::kContinuation, false);
  send("p", Opcode::kPing);
  EXPECT_EQ(sent(), Log({"text+:a", "continuation+:b", "ping:p"}));
  send("c", Opcode::kContinuation);
  EXPECT_EQ(session.received_bytes() + session.held_output_bytes(), 0U);
  broadcast("last");
  EXPECT_EQ(sent(), Log({"continuation:c", "text:shared", "text:" + long_one, "text:last"}));
  EXPECT_EQ(endpoint.stats.messages_sent, 4U);
}

TEST_P(SessionTest, HeldPreparedMessagesAreLimited) {
  endpoint.rules.max_backpressure_bytes = 100;
  send("a", Opcode::kText, false);
  EXPECT_EQ(sent(), Log({"text+:a"}));
  EXPECT_EQ(broadcast(std::string(200, 'x')), WriteStatus::kAccepted);  // while nothing waits, any size is
  EXPECT_EQ(broadcast("y"), WriteStatus::kQueueFull);
  EXPECT_EQ(endpoint.stats.queue_full, 1U);
  send("b", Opcode::kContinuation);
  EXPECT_EQ(sent(), Log({"continuation:b", "text:" + std::string(200, 'x')}));
}

TEST_P(SessionTest, HeldPreparedMessagesEndWithTheSession) {
  send("a", Opcode::kText, false);
  broadcast("never");
  session.close(CloseCode::kNormal, "");
  EXPECT_EQ(session.received_bytes() + session.held_output_bytes(), 0U);
  EXPECT_EQ(sent(), Log({"text+:a", "close:1000:"}));
}

TEST_P(SessionTest, QueueIsFull) {
  endpoint.rules.max_backpressure_bytes = 10;
  side.carrier.room = 0;
  EXPECT_EQ(send(std::string(50, 'a')), WriteStatus::kAccepted);  // while nothing waits, any size is
  EXPECT_EQ(send("b"), WriteStatus::kQueueFull);
  EXPECT_EQ(broadcast("c"), WriteStatus::kQueueFull);
  EXPECT_EQ(endpoint.stats.queue_full, 2U);
  EXPECT_EQ(endpoint.stats.messages_sent, 1U);
  EXPECT_EQ(session.send_close(CloseCode::kNormal, ""), WriteStatus::kAccepted);  // of any size: it is short
}

TEST_P(SessionTest, WhatWaitsForTheEndOfTheBatchIsSentWhenThereIsNoRoom) {
  endpoint.rules.max_backpressure_bytes = 10;
  side.carrier.at_once = 5;
  send(std::string(20, 'a'));
  const int flushes = side.carrier.flushes;
  EXPECT_EQ(send("b"), WriteStatus::kAccepted);
  EXPECT_GT(side.carrier.flushes, flushes + 1);
  EXPECT_EQ(sent(), Log({"text:" + std::string(20, 'a'), "text:b"}));
}

TEST_P(SessionTest, SendsNothingMoreWhenItBreaksWhileRoomIsMade) {
  endpoint.rules.max_backpressure_bytes = 10;
  for (const bool is_prepared : {false, true}) {
    Side other(endpoint);
    other.carrier.at_once = 5;
    other.session.send(Opcode::kText, true, as_bytes(std::string(20, 'a')));
    other.carrier.during_flush = [&] { other.session.on_broken(); };
    PreparedMessage message(endpoint.memory, Opcode::kText, as_bytes("b"));
    const WriteStatus status =
        is_prepared ? other.session.send(message) : other.session.send(Opcode::kText, true, as_bytes("b"));
    EXPECT_EQ(status, WriteStatus::kClosed);
    EXPECT_EQ(frames_in(other.take_sent()).size(), 1U);
  }
}

TEST_P(SessionTest, QueueIsFullWhenMemoryIsShort) {
  side.carrier.room = 0;
  MemoryBudget memory(100);
  SessionRules rules{.frames = endpoint.rules.frames,
                     .handler = side.handler,
                     .memory = memory,
                     .stats = endpoint.stats,
                     .rates = endpoint.rates};
  Session other(rules, side.carrier, nullptr);
  memory.add(200);
  EXPECT_EQ(other.send(Opcode::kText, true, as_bytes("a")), WriteStatus::kAccepted);
  EXPECT_EQ(other.send(Opcode::kText, true, as_bytes("b")), WriteStatus::kQueueFull);
}

TEST_P(SessionTest, DrainedIsReportedLater) {
  send("a");
  side.take_sent();
  side.carrier.run_deferred();
  EXPECT_EQ(side.take_log(), Log());
  session.set_notifies_drain(true);
  send("b");
  side.take_sent();
  EXPECT_EQ(side.take_log(), Log());
  side.carrier.run_deferred();
  EXPECT_EQ(side.take_log(), Log({"drained"}));
}

TEST_P(SessionTest, DrainedIsNotReportedWhenSomethingWaitsAgain) {
  session.set_notifies_drain(true);
  send("a");
  side.take_sent();
  send("b");
  side.carrier.run_deferred();
  EXPECT_EQ(side.take_log(), Log());
}

TEST_P(SessionTest, ProgressIsReportedLater) {
  side.carrier.room = 0;
  send("abcdef");
  session.set_notifies_progress(true);
  for (int i = 0; i < 2; ++i) {
    side.carrier.room = 2;
    side.carrier.flush();
    EXPECT_EQ(side.take_log(), Log());
    side.carrier.run_deferred();
    EXPECT_GT(session.buffered_bytes(), 0U);
    EXPECT_EQ(side.take_log(), Log({"drained"}));  // once
  }
  side.carrier.room = FakeCarrier::kAnything;
  side.carrier.flush();
  side.carrier.run_deferred();
  EXPECT_EQ(session.buffered_bytes(), 0U);
  EXPECT_EQ(side.take_log(), Log({"drained"}));
}

TEST_P(SessionTest, ProgressIsReportedWhileClosing) {
  side.carrier.room = 0;
  send("abcdef");
  session.close(CloseCode::kNormal, "");
  side.take_log();
  session.set_notifies_progress(true);
  side.carrier.room = 2;
  side.carrier.flush();
  side.carrier.run_deferred();
  EXPECT_EQ(side.take_log(), Log({"drained"}));
}

TEST_P(SessionTest, ProgressIsNotReportedToWhoDoesNotAsk) {
  side.carrier.room = 0;
  send("abcdef");
  session.set_notifies_progress(true);
  session.set_notifies_progress(false);
  session.set_notifies_drain(true);
  side.carrier.room = 2;
  side.carrier.flush();
  side.carrier.run_deferred();
  EXPECT_EQ(side.take_log(), Log());
}

TEST_P(SessionTest, PinnedPayloadIsGivenBack) {
  Keeper keeper;
  const std::string payload(3000, 'p');
  session.send(Opcode::kText, true, as_bytes(payload), PinnedPayload(keeper, 1));
  EXPECT_EQ(keeper.released, is_client() ? 1 : 0);  // what is masked is a copy
  EXPECT_EQ(sent(), Log({"text:" + payload}));
  EXPECT_EQ(keeper.released, 1);
  session.close(CloseCode::kNormal, "");
  session.send(Opcode::kText, true, as_bytes(payload), PinnedPayload(keeper, 2));
  EXPECT_EQ(keeper.released, 2);
}

TEST_P(SessionTest, NothingFollowsACloseFrame) {
  EXPECT_EQ(session.send_close(CloseCode::kNormal, "bye"), WriteStatus::kAccepted);
  EXPECT_EQ(session.send_close(CloseCode::kNormal, "bye"), WriteStatus::kClosed);
  EXPECT_EQ(send("a"), WriteStatus::kClosed);
  EXPECT_EQ(broadcast("a"), WriteStatus::kClosed);
  side.receive(frame(Opcode::kPing));
  EXPECT_EQ(sent(), Log({"close:1000:bye"}));
}

// --- Endings ---

TEST_P(SessionTest, PeerCloses) {
  side.receive(joined({close_frame(close_body(1001, "moved")), text("ignored")}));
  EXPECT_EQ(side.take_log(), Log({end_of_handshake(), "session closed", "closed 1001:moved"}));
  EXPECT_EQ(sent(), Log({"close:1001:"}));
  EXPECT_TRUE(session.has_ended());
  EXPECT_FALSE(session.is_open());
  EXPECT_FALSE(session.wants_input());
  EXPECT_EQ(endpoint.stats.closed[1], 1U);
}

TEST_P(SessionTest, PeerClosesWithoutACode) {
  side.receive(close_frame(""));
  EXPECT_EQ(side.take_log(), Log({end_of_handshake(), "session closed", "closed 1005:"}));
  EXPECT_EQ(sent(), Log({"close:"}));
}

TEST_P(SessionTest, ClosingHandshakeBegunHere) {
  session.send_close(CloseCode::kNormal, "bye");
  EXPECT_TRUE(session.is_closing());
  EXPECT_EQ(side.carrier.deadline_ms, endpoint.rules.close_timeout_ms);
  EXPECT_TRUE(session.takes_messages());
  side.receive(joined({text("late"), close_frame(close_body(1000))}));
  EXPECT_EQ(side.take_log(), Log({"text:late", end_of_handshake(), "session closed", "closed 1000:"}));
  EXPECT_EQ(sent(), Log({"close:1000:bye"}));
}

TEST_P(SessionTest, LocalCloseIsReportedAtOnce) {
  session.close(CloseCode::kGoingAway, "bye");
  session.close(CloseCode::kNormal, "again");
  EXPECT_EQ(side.take_log(), Log({"session closed", "closed 1001:bye"}));
  EXPECT_FALSE(session.takes_messages());
  EXPECT_TRUE(session.wants_input());
  session.set_chunk_mode(true);
  side.receive(joined({text("ignored"), frame(Opcode::kPing)}));
  session.set_chunk_mode(false);
  side.receive(joined({text("ignored"), text("ignored"), frame(Opcode::kPong)}));
  EXPECT_EQ(side.take_log(), Log());
  side.receive(close_frame(close_body(1001)));
  EXPECT_EQ(side.take_log(), Log({end_of_handshake()}));
  EXPECT_EQ(sent(), Log({"close:1001:bye"}));
}

TEST_P(SessionTest, LocalCloseWithoutACode) {
  session.close(CloseCode::kNone, "");
  EXPECT_EQ(side.take_log(), Log({"session closed", "closed 1005:"}));
  EXPECT_EQ(sent(), Log({"close:"}));
}

TEST_P(SessionTest, LocalCloseBehindACloseFrame) {
  session.send_close(CloseCode::kNormal, "first");
  session.close(CloseCode::kGoingAway, "second");
  EXPECT_EQ(side.take_log(), Log({"session closed", "closed 1001:second"}));
  EXPECT_EQ(sent(), Log({"close:1000:first"}));
}

TEST_P(SessionTest, PeerDoesNotAnswerTheCloseFrame) {
  session.send_close(CloseCode::kNormal, "");
  side.carrier.deadline_ms.reset();
  side.take_sent();  // what it takes gives it more time
  EXPECT_EQ(side.carrier.deadline_ms, endpoint.rules.close_timeout_ms);
  session.on_deadline(20'000, false);
  EXPECT_EQ(side.take_log(), Log({"end now", "session closed", "closed 1006:"}));
}

TEST_P(SessionTest, FailsForWhatThePeerDoesWrong) {
  side.receive(joined({text("fine"), frame(Opcode::kContinuation, "not"), text("ignored")}));
  EXPECT_EQ(side.take_log(),
            Log({"text:fine", "end linger", "session closed",
                 "closed 1002:" + std::string(describe(ProtocolError::kUnexpectedContinuation).text)}));
  EXPECT_EQ(sent(), Log({"close:1002:" + std::string(describe(ProtocolError::kUnexpectedContinuation).text)}));
}

TEST_P(SessionTest, FailsForReservedBitsThatWereNotNegotiated) {
  side.receive(make_frame({.payload = "x", .masked = !is_client(), .rsv_bits = 0x40}));
  EXPECT_EQ(side.take_log().back(), "closed 1002:" + std::string(describe(ProtocolError::kReservedBits).text));
}

TEST_P(SessionTest, FailsForWrongMasking) {
  side.receive(make_frame({.payload = "x", .masked = is_client()}));
  const ProtocolError error = is_client() ? ProtocolError::kMaskedFrame : ProtocolError::kUnmaskedFrame;
  EXPECT_EQ(side.take_log(), Log({"end linger", "session closed", "closed 1002:" + std::string(describe(error).text)}));
}

TEST_P(SessionTest, FailsForLargePayloadsReceivedInPlace) {
  const Bytes bytes = frame(Opcode::kText, std::string(20'000, '\xFF'));
  side.receive({bytes.begin(), bytes.begin() + 14});
  EXPECT_EQ(side.take_log().back(), "closed 1007:" + std::string(describe(ProtocolError::kInvalidUtf8).text));
}

TEST_P(SessionTest, FailsWithoutASecondCloseFrame) {
  session.send_close(CloseCode::kNormal, "");
  session.fail(CloseCode::kPolicyViolation, "no");
  session.fail(CloseCode::kPolicyViolation, "no");
  EXPECT_EQ(side.take_log(), Log({"end linger", "session closed", "closed 1008:no"}));
  EXPECT_EQ(sent(), Log({"close:1000:"}));
}

TEST_P(SessionTest, TerminatesAtOnce) {
  send("dropped");
  session.terminate();
  EXPECT_EQ(side.take_log(), Log({"end now", "session closed", "closed 1006:"}));
  EXPECT_EQ(sent(), Log());
}

TEST_P(SessionTest, TerminatesWhatWaitsForItsPeer) {
  session.fail(CloseCode::kPolicyViolation, "no");
  session.terminate();
  EXPECT_EQ(side.take_log(), Log({"end linger", "session closed", "closed 1008:no", "end now"}));
}

TEST_P(SessionTest, HandlerFails) {
  fail_in("text:two");
  side.receive(joined({text("one"), text("two"), text("three")}));
  EXPECT_EQ(side.take_log(),
            Log({"text:one", "text:two", "end linger", "session closed", "closed 1011:the handler failed"}));
  EXPECT_EQ(sent(), Log({"close:1011:the handler failed"}));
}

TEST_P(SessionTest, HandlerFailsInAnyEvent) {
  for (const std::string event : {"last text:x", "pong:x", "drained", "closed 1000:"}) {
    Side other(endpoint);
    other.handler.action = [&](Session&, const std::string& what) { return what != event; };
    other.session.set_notifies_drain(true);
    other.session.set_notifies_pongs(true);
    other.session.set_chunk_mode(true);
    if (event == "drained") {
      other.session.send(Opcode::kText, true, {});
      other.take_sent();
      other.carrier.run_deferred();
    } else if (event == "closed 1000:") {
      other.session.close(CloseCode::kNormal, "");
    } else {
      other.receive(frame(event == "pong:x" ? Opcode::kPong : Opcode::kText, "x"));
    }
    const Log log = other.take_log();
    EXPECT_EQ(log.back(), event == "closed 1000:" ? event : "closed 1011:the handler failed");
  }
}

TEST_P(SessionTest, EndOfInputWithAnEmptyQueue) {
  session.on_end_of_input();
  EXPECT_EQ(side.take_log(), Log({"end now", "session closed", "closed 1006:"}));
  session.on_end_of_input();
  EXPECT_EQ(side.take_log(), Log());
}

TEST_P(SessionTest, EndOfInputWithOutput) {
  send("for who reads on");
  session.on_end_of_input();
  EXPECT_EQ(side.take_log(), Log({"end after output", "session closed", "closed 1006:"}));
  EXPECT_EQ(sent(), Log({"text:for who reads on"}));
}

TEST_P(SessionTest, BrokenCarrierEndsItLater) {
  session.on_broken();
  EXPECT_FALSE(session.is_open());
  EXPECT_FALSE(session.wants_input());
  EXPECT_EQ(send("a"), WriteStatus::kClosed);
  EXPECT_EQ(side.take_log(), Log());
  side.carrier.run_deferred();
  EXPECT_EQ(side.take_log(), Log({"end now", "session closed", "closed 1006:"}));
}

TEST_P(SessionTest, DeferredFailures) {
  session.defer_failure(CloseCode::kTryAgainLater);
  session.defer_failure(CloseCode::kInternalError);
  EXPECT_FALSE(session.is_open());
  EXPECT_EQ(send("a"), WriteStatus::kClosed);
  side.carrier.run_deferred();
  EXPECT_EQ(side.take_log(), Log({"end linger", "session closed", "closed 1013:too slow: the queue is full"}));

  Side other(endpoint);
  other.session.defer_failure(CloseCode::kInternalError);
  other.carrier.run_deferred();
  EXPECT_EQ(other.take_log().back(), "closed 1011:the handler failed");

  Side lost(endpoint);
  lost.session.defer_failure(CloseCode::kTryAgainLater);
  lost.session.on_broken();
  lost.carrier.run_deferred();
  EXPECT_EQ(lost.take_log().back(), "closed 1006:");
}

TEST_P(SessionTest, IsDestroyed) {
  side.carrier.at_once = 3;
  send("first");
  session.destroy(CloseCode::kServiceRestart);
  session.destroy(CloseCode::kServiceRestart);
  EXPECT_EQ(side.take_log(), Log({"end now", "session closed", "closed 1012:"}));
  EXPECT_EQ(sent(), Log({"text:first", "close:1012:"}));
}

TEST_P(SessionTest, IsAbandoned) {
  session.abandon();
  EXPECT_FALSE(session.is_open());
  session.on_end_of_input();
  session.run_deferred();
  session.on_deadline(1'000'000, false);
  EXPECT_EQ(side.take_log(), Log({"session closed"}));
  EXPECT_EQ(sent(), Log());
}

// In each event the handler ends the session in each way; then nothing more comes.
TEST_P(SessionTest, EndsWithinEachEvent) {
  const auto ways = std::to_array<std::pair<std::function<void(Session&)>, std::string>>({
      {[](Session& one) { one.close(CloseCode::kNormal, ""); }, "closed 1000:"},
      {[](Session& one) { one.terminate(); }, "closed 1006:"},
      {[](Session& one) { one.fail(CloseCode::kPolicyViolation, ""); }, "closed 1008:"},
      {[](Session& one) { one.destroy(CloseCode::kGoingAway); }, "closed 1001:"},
  });
  for (const auto& [end, outcome] : ways) {
    for (const std::string event : {"text:1", "chunk text:2", "last text:2", "pong:p", "drained"}) {
      Side other(endpoint);
      other.session.set_notifies_pongs(true);
      other.session.set_notifies_drain(true);
      bool has_ended = false;
      other.handler.action = [&, end = &end](Session& one, const std::string& what) {
        if (what == event) {
          (*end)(one);
          has_ended = true;
        }
        if (what == "text:1") one.set_chunk_mode(true);
        return true;
      };
      other.session.send(Opcode::kText, true, as_bytes("x"));
      other.take_sent();
      const Bytes chunks = frame(Opcode::kText, "2", false);
      other.receive(joined({text("1"), chunks, frame(Opcode::kContinuation, "2"), frame(Opcode::kPong, "p")}));
      other.carrier.run_deferred();
      EXPECT_TRUE(has_ended) << event;
      const Log log = other.take_log();
      EXPECT_EQ(std::count(log.begin(), log.end(), outcome), 1) << event;
      EXPECT_EQ(std::count(log.begin(), log.end(), "session closed"), 1) << event;
      const auto at = std::find(log.begin(), log.end(), outcome);
      EXPECT_TRUE(std::all_of(at + 1, log.end(), [](const std::string& what) { return what.starts_with("end "); }));
    }
  }
}

// --- Rates ---

TEST_P(SessionTest, TooManyMessages) {
  Endpoint limited(GetParam(), {.per_second = 1, .burst = 3});
  Side other(limited);
  other.receive(joined({text("1"), text("2")}));
  other.receive(joined({text("3"), text("4"), text("5")}));
  EXPECT_EQ(other.take_log(),
            Log({"text:1", "text:2", "text:3", "end linger", "session closed", "closed 1008:too many messages"}));
}

TEST_P(SessionTest, MessagesAreAllowedAgainLater) {
  Endpoint limited(GetParam(), {.per_second = 1, .burst = 1});
  Side other(limited);
  other.receive(text("1"));
  other.now_ms += 1000;
  other.receive(text("2"));
  other.session.set_chunk_mode(true);
  other.now_ms += 1000;
  other.receive(text("3"));
  other.receive(text("4"));
  EXPECT_EQ(other.take_log(),
            Log({"text:1", "text:2", "last text:3", "end linger", "session closed", "closed 1008:too many messages"}));
}

TEST_P(SessionTest, MessagesAreNotCountedAgainstWhoWasClosed) {
  Endpoint limited(GetParam(), {.per_second = 1, .burst = 1});
  Side other(limited);
  other.session.close(CloseCode::kNormal, "");
  other.receive(joined({text("1"), text("2"), text("3"), close_frame("")}));
  EXPECT_EQ(other.take_log(), Log({"session closed", "closed 1000:", end_of_handshake()}));
}

// --- Keepalive ---

TEST_P(SessionTest, PingsAfterSilence) {
  endpoint.rules.keepalive = {.ping_interval_ms = 100, .idle_timeout_ms = 0};
  session.start(1000);
  EXPECT_EQ(side.carrier.deadline_ms, 100U);
  session.note_received(1060);
  session.on_deadline(1100, false);
  EXPECT_EQ(sent(), Log());
  EXPECT_EQ(side.carrier.deadline_ms, 60U);
  session.on_deadline(1160, false);
  EXPECT_EQ(sent(), Log({"ping:"}));
  EXPECT_EQ(side.carrier.deadline_ms, 100U);
}

TEST_P(SessionTest, EndsAfterMoreSilence) {
  endpoint.rules.keepalive = {.ping_interval_ms = 0, .idle_timeout_ms = 100};
  session.start(1000);
  session.on_deadline(1100, false);
  EXPECT_EQ(side.carrier.receives, 1);  // the loop may be late
  EXPECT_EQ(side.take_log(), Log({"end linger", "session closed", "closed 1001:nothing was received for too long"}));
  EXPECT_EQ(sent(), Log({"close:1001:nothing was received for too long"}));
}

TEST_P(SessionTest, WhatHasArrivedInTimeEndsTheSilence) {
  endpoint.rules.keepalive = {.ping_interval_ms = 0, .idle_timeout_ms = 100};
  session.start(1000);
  side.carrier.during_receive = [&] {
    session.note_received(1100);
    side.receive(text("in time"));
  };
  session.on_deadline(1100, false);
  EXPECT_EQ(side.take_log(), Log({"text:in time"}));
  EXPECT_EQ(side.carrier.deadline_ms, 100U);
  side.carrier.during_receive = [&] { session.terminate(); };
  side.carrier.deadline_ms.reset();
  session.on_deadline(1200, false);
  EXPECT_EQ(side.take_log(), Log({"end now", "session closed", "closed 1006:"}));
  EXPECT_EQ(side.carrier.deadline_ms, std::nullopt);
}

TEST_P(SessionTest, IsNotSilentWhenItCouldNotBeReceived) {
  endpoint.rules.keepalive = {.ping_interval_ms = 0, .idle_timeout_ms = 100};
  session.start(1000);
  session.on_deadline(1100, true);
  EXPECT_EQ(side.take_log(), Log());
  EXPECT_EQ(side.carrier.deadline_ms, 100U);
}

TEST_P(SessionTest, SilenceDoesNotCountWhileReadingIsOff) {
  endpoint.rules.keepalive = {.ping_interval_ms = 0, .idle_timeout_ms = 100};
  session.start(1000);
  session.set_reading(false, 1010);
  side.carrier.deadline_ms.reset();
  session.on_deadline(1100, false);
  EXPECT_EQ(side.carrier.deadline_ms, std::nullopt);
  session.set_reading(true, 5000);
  EXPECT_EQ(side.carrier.deadline_ms, 100U);
  side.carrier.deadline_ms.reset();
  session.set_reading(false, 5050);
  session.set_reading(true, 5060);  // the deadline that is set still finds out
  EXPECT_EQ(side.carrier.deadline_ms, std::nullopt);
  session.on_deadline(5100, false);
  EXPECT_EQ(side.carrier.deadline_ms, 60U);
  EXPECT_FALSE(session.has_ended());
}

TEST_P(SessionTest, WithoutKeepaliveThereIsNoDeadline) {
  endpoint.rules.keepalive = {.ping_interval_ms = 0, .idle_timeout_ms = 0};
  session.start(1000);
  EXPECT_EQ(side.carrier.deadline_ms, std::nullopt);
}

}  // namespace
}  // namespace websockets
