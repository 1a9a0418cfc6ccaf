// SPDX-License-Identifier: MIT
// A server and a client that talk to each other: all kinds of messages, each negotiation, in pieces of each kind.
#include "session_pair.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>

namespace websockets {
namespace {

using namespace session_support;

std::string words(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += "word " + std::to_string(i % 7) + ", ";
  return text;
}

// All kinds; more than once, so that the windows matter.
std::vector<Said> conversation() {
  std::vector<Said> all;
  for (int round = 0; round < 2; ++round) {
    all.insert(all.end(), {{Opcode::kText, "h\xC3\xA9llo"},
                           {Opcode::kBinary, std::string("\0\xFF\x80", 3)},
                           {Opcode::kText, ""},
                           {Opcode::kPing, "are you there"},
                           {Opcode::kText, words(3)},
                           {.opcode = Opcode::kText, .payload = words(4), .is_prepared = true},
                           {Opcode::kBinary, words(5)},
                           {Opcode::kText, "first ", false},
                           {Opcode::kPong, "unasked"},
                           {.opcode = Opcode::kBinary, .payload = words(4), .is_prepared = true},
                           {Opcode::kContinuation, "", false},
                           {.opcode = Opcode::kText, .payload = "short", .is_prepared = true},
                           {Opcode::kPing, ""},
                           {Opcode::kContinuation, "last"},
                           {Opcode::kBinary, std::string(126, 'x')},
                           {Opcode::kText, words(17)}});
  }
  return all;
}

const std::vector<Said> kConversation = conversation();
const Log kHeard = heard_of(kConversation);

const std::vector<std::optional<DeflateParameters>> kNegotiations = {
    std::nullopt,
    DeflateParameters{},
    DeflateParameters{.server_no_context_takeover = true},
    DeflateParameters{.client_no_context_takeover = true},
    DeflateParameters{.server_no_context_takeover = true, .client_no_context_takeover = true},
    DeflateParameters{.server_max_window_bits = 9},
    DeflateParameters{.client_no_context_takeover = true, .client_max_window_bits = 9},
};

class SessionPairTest : public ::testing::TestWithParam<std::optional<DeflateParameters>> {
 protected:
  static const DeflateParameters* agreed() { return GetParam() ? &*GetParam() : nullptr; }
};

INSTANTIATE_TEST_SUITE_P(Negotiations, SessionPairTest, ::testing::ValuesIn(kNegotiations), [](const auto& info) {
  if (!info.param) return std::string("plain");
  return std::string("server_") + (info.param->server_no_context_takeover ? "forgets_" : "keeps_") +
         std::to_string(info.param->server_max_window_bits) + "_client_" +
         (info.param->client_no_context_takeover ? "forgets_" : "keeps_") +
         std::to_string(info.param->client_max_window_bits);
});

TEST_P(SessionPairTest, SaysEverythingBothWaysInPiecesOfAnySize) {
  for (const std::size_t at_once :
       {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{100}, FakeCarrier::kAnything}) {
    Pair pair(agreed());
    for (Side* side : {&pair.server, &pair.client}) side->session.set_notifies_pongs(true);
    Log heard;
    for (const Said& said : kConversation) {
      EXPECT_EQ(say(pair.server, said), WriteStatus::kAccepted);
      EXPECT_EQ(say(pair.client, said), WriteStatus::kAccepted);
    }
    // The answers to the pings come with the rest.
    pair.run(at_once);
    for (Side* side : {&pair.server, &pair.client}) {
      Log log = side->take_log();
      EXPECT_EQ(std::erase(log, "pong:are you there"), 2);
      EXPECT_EQ(std::erase(log, "pong:"), 2);
      EXPECT_EQ(log, kHeard) << at_once;
      EXPECT_EQ(side->session.received_bytes(), 0U);
      EXPECT_EQ(side->session.buffered_bytes(), 0U);
    }
    pair.client.session.close(CloseCode::kNormal, "bye");
    pair.run(at_once);
    EXPECT_EQ(pair.client.take_log(), Log({"session closed", "closed 1000:bye", "end await peer"}));
    EXPECT_EQ(pair.server.take_log(), Log({"end after output", "session closed", "closed 1000:bye"}));
    EXPECT_EQ(pair.servers.memory.used(), 0U);
    EXPECT_EQ(pair.clients.memory.used(), 0U);
  }
}

// What one side has sent, given to the other one in two pieces, cut at every place.
void expect_same_at_every_cut(const DeflateParameters* agreed, bool is_to_server, bool in_chunks) {
  Pair from(agreed);
  Side& sender = is_to_server ? from.client : from.server;
  for (const Said& said : kConversation) say(sender, said);
  sender.session.send_close(CloseCode::kGoingAway, "end");
  const Bytes stream = sender.take_sent();
  const std::string mark = is_to_server ? "" : "!";
  const Log answers = {"pong" + mark + ":are you there", "pong" + mark + ":", "pong" + mark + ":are you there",
                       "pong" + mark + ":", "close" + mark + ":1001:"};
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Pair to(agreed);
    Side& receiver = is_to_server ? to.server : to.client;
    receiver.session.set_notifies_pongs(true);
    receiver.session.set_chunk_mode(in_chunks);
    const auto middle = stream.begin() + static_cast<std::ptrdiff_t>(cut);
    receiver.receive({stream.begin(), middle});
    receiver.receive({middle, stream.end()});
    Log log;
    std::string chunks;
    for (std::string& event : receiver.take_log()) {
      if (!in_chunks || (event.rfind("chunk ", 0) != 0 && event.rfind("last ", 0) != 0)) {
        log.push_back(std::move(event));
        continue;
      }
      const std::size_t at = event.find(':') + 1;
      if (chunks.empty()) chunks = event.substr(event.find(' ') + 1, at - event.find(' ') - 1);
      chunks += event.substr(at);
      if (event[0] == 'l') log.push_back(std::exchange(chunks, {}));
    }
    ASSERT_GE(log.size(), 3U);
    EXPECT_EQ(log.back(), "closed 1001:end");
    log.resize(log.size() - 3);
    ASSERT_EQ(log, kHeard) << "cut at " << cut;
    ASSERT_EQ(frames_in(receiver.take_sent()), answers);
  }
}

TEST_P(SessionPairTest, ServerHearsTheSameAtEveryCut) { expect_same_at_every_cut(agreed(), true, false); }
TEST_P(SessionPairTest, ClientHearsTheSameAtEveryCut) { expect_same_at_every_cut(agreed(), false, false); }
TEST_P(SessionPairTest, ServerHearsTheSameChunksAtEveryCut) { expect_same_at_every_cut(agreed(), true, true); }
TEST_P(SessionPairTest, ClientHearsTheSameChunksAtEveryCut) { expect_same_at_every_cut(agreed(), false, true); }

// Each side answers what it gets, through carriers that take little at once.
TEST_P(SessionPairTest, EchoesThroughNarrowCarriers) {
  Pair pair(agreed());
  pair.server.carrier.at_once = 3;
  pair.client.carrier.at_once = 5;
  pair.server.handler.action = [](Session& session, const std::string& event) {
    const std::size_t at = event.find(':') + 1;
    const bool is_message = event.rfind("text:", 0) == 0 || event.rfind("binary:", 0) == 0;
    if (!is_message) return true;
    const Opcode opcode = event[0] == 't' ? Opcode::kText : Opcode::kBinary;
    return session.send(opcode, true, as_bytes(event).subspan(at)) == WriteStatus::kAccepted;
  };
  pair.client.session.set_notifies_pongs(true);
  for (const Said& said : kConversation) say(pair.client, said);
  pair.run(11);
  Log expected = kHeard;
  std::erase_if(expected, [](const std::string& event) { return event.rfind("pong:", 0) == 0; });
  Log heard = pair.client.take_log();
  EXPECT_EQ(std::erase_if(heard, [](const std::string& event) { return event.rfind("pong:", 0) == 0; }), 4U);
  EXPECT_EQ(heard, expected);
}

// Large ones, cut around the places that matter.
TEST_P(SessionPairTest, LargeMessages) {
  const std::string payload = words(9000);
  ASSERT_GT(payload.size(), 65'536U);
  for (const std::size_t at_once :
       {std::size_t{1000}, std::size_t{16'384}, std::size_t{65'536}, FakeCarrier::kAnything}) {
    Pair pair(agreed());
    const std::vector<Said> all = {{Opcode::kBinary, payload},
                                   {Opcode::kText, payload, false},
                                   {.opcode = Opcode::kText, .payload = payload, .is_prepared = true},
                                   {Opcode::kContinuation, payload},
                                   {Opcode::kBinary, payload.substr(0, 40'000)}};
    for (const Said& said : all) {
      say(pair.server, said);
      say(pair.client, said);
    }
    pair.run(at_once);
    EXPECT_TRUE(pair.server.take_log() == heard_of(all));
    EXPECT_TRUE(pair.client.take_log() == heard_of(all));
  }
}

// --- Endings ---

// A carrier that is full after the n-th byte, whichever it is, and that breaks there.
TEST_P(SessionPairTest, BreaksAtEveryByte) {
  Log whole;
  {
    Pair pair(agreed());
    for (const Said& said : kConversation) say(pair.client, said);
    whole = frames_in(pair.client.take_sent());
  }
  const std::size_t step = GetParam() ? 13 : 1;
  for (std::size_t room = 0;; room += step) {
    Pair pair(agreed());
    pair.server.session.set_notifies_pongs(true);
    pair.client.carrier.room = room;
    for (const Said& said : kConversation) say(pair.client, said);
    pair.run();
    if (pair.client.carrier.output().empty()) break;
    const std::size_t before = pair.server.log.size();
    ASSERT_TRUE(std::equal(pair.server.log.begin(), pair.server.log.end(), kHeard.begin()));
    pair.client.session.on_broken();
    EXPECT_EQ(say(pair.client, {Opcode::kText, "more"}), WriteStatus::kClosed);
    pair.client.carrier.room = FakeCarrier::kAnything;
    pair.client.session.run_deferred();
    pair.run();
    ASSERT_EQ(pair.client.log, Log({"end now", "session closed", "closed 1006:"}));
    ASSERT_EQ(Log(pair.server.log.begin() + static_cast<std::ptrdiff_t>(before), pair.server.log.end()),
              Log({"end now", "session closed", "closed 1006:"}));
  }
}

// The same one, but it takes more again.
TEST_P(SessionPairTest, GoesOnAfterEveryByte) {
  const std::size_t step = GetParam() ? 29 : 1;
  for (std::size_t room = 0;; room += step) {
    Pair pair(agreed());
    pair.server.session.set_notifies_pongs(true);
    pair.client.carrier.room = room;
    for (const Said& said : kConversation) say(pair.client, said);
    pair.client.session.send_close(CloseCode::kNormal, "");
    pair.run();
    if (pair.server.session.has_ended()) break;
    pair.client.carrier.room = FakeCarrier::kAnything;
    pair.run();
    Log log = pair.server.take_log();
    log.resize(kHeard.size());
    ASSERT_EQ(log, kHeard);
    ASSERT_EQ(pair.client.log.back(), "closed 1000:");
  }
}

TEST(SessionPairCloseTest, EitherSideCloses) {
  for (const std::size_t at_once : {std::size_t{1}, FakeCarrier::kAnything}) {
    Pair pair;
    pair.server.session.send_close(CloseCode::kGoingAway, "down");
    pair.run(at_once);
    EXPECT_EQ(pair.server.log, Log({"end after output", "session closed", "closed 1001:"}));
    EXPECT_EQ(pair.client.log, Log({"end await peer", "session closed", "closed 1001:down"}));
  }
}

TEST(SessionPairCloseTest, BothCloseAtOnce) {
  Pair pair;
  pair.server.session.send_close(CloseCode::kGoingAway, "s");
  pair.client.session.close(CloseCode::kNormal, "c");
  pair.run();
  EXPECT_EQ(pair.server.log, Log({"end after output", "session closed", "closed 1000:c"}));
  EXPECT_EQ(pair.client.log, Log({"session closed", "closed 1000:c", "end await peer"}));
}

TEST(SessionPairCloseTest, ClosesInTheMidstOfAMessage) {
  Pair pair;
  say(pair.client, {Opcode::kText, "unfinished", false});
  pair.run();
  EXPECT_GT(pair.server.session.received_bytes(), 0U);
  pair.server.session.close(CloseCode::kNormal, "");
  pair.run();
  EXPECT_EQ(pair.server.session.received_bytes(), 0U);
  EXPECT_EQ(pair.server.log, Log({"session closed", "closed 1000:", "end after output"}));
  EXPECT_EQ(pair.client.log, Log({"end await peer", "session closed", "closed 1000:"}));
}

TEST(SessionPairCloseTest, OneFails) {
  Pair pair;
  pair.server.handler.action = [](Session&, const std::string&) { return false; };
  say(pair.client, {Opcode::kText, "x"});
  say(pair.client, {Opcode::kText, "ignored"});
  pair.run();
  EXPECT_EQ(pair.server.log, Log({"text:x", "end linger", "session closed", "closed 1011:the handler failed"}));
  EXPECT_EQ(pair.client.log, Log({"end await peer", "session closed", "closed 1011:the handler failed"}));
}

TEST(SessionPairCloseTest, OneTerminates) {
  Pair pair;
  say(pair.client, {Opcode::kText, "x"});
  pair.client.session.terminate();
  pair.run();
  EXPECT_EQ(pair.client.log, Log({"end now", "session closed", "closed 1006:"}));
  EXPECT_EQ(pair.server.log, Log({"end now", "session closed", "closed 1006:"}));
}

// A message that is decompressed in several calls, with flow control in between.
TEST(SessionPairCompressionTest, DecompressesInSeveralCalls) {
  const DeflateParameters agreed;
  Pair pair(&agreed);
  const std::string payload(2'000'000, 'z');
  say(pair.client, {Opcode::kText, payload});
  say(pair.client, {Opcode::kText, "behind"});
  Bytes stream = pair.client.take_sent();
  std::span<std::uint8_t> input(stream);
  int calls = 0;
  while (!pair.server.session.has_pending_input()) {
    Budget budget;
    pair.server.session.receive(input, budget, 0);
    ASSERT_LT(++calls, 3);
  }
  EXPECT_GT(pair.server.session.received_bytes(), 10'000U);
  EXPECT_EQ(pair.server.log, Log());
  pair.server.session.set_reading(false, 0);
  Budget budget;
  pair.server.session.receive(input, budget, 0);
  EXPECT_FALSE(budget.is_spent());
  pair.server.session.set_reading(true, 0);
  while (pair.server.session.has_pending_input()) {
    Budget next;
    pair.server.session.receive(input, next, 0);
    ++calls;
  }
  EXPECT_GT(calls, 3);
  pair.server.receive({input.begin(), input.end()});
  const Log log = pair.server.take_log();
  ASSERT_EQ(log.size(), 4U);
  EXPECT_TRUE(log[2] == "text:" + payload);
  EXPECT_EQ(log[3], "text:behind");
  EXPECT_EQ(pair.server.session.received_bytes(), 0U);
}

TEST(SessionPairCompressionTest, GivesUpWhatItIsDecompressing) {
  const DeflateParameters agreed;
  Pair pair(&agreed);
  say(pair.client, {Opcode::kText, std::string(2'000'000, 'z')});
  Bytes stream = pair.client.take_sent();
  std::span<std::uint8_t> input(stream);
  Budget budget;
  pair.server.session.receive(input, budget, 0);
  ASSERT_TRUE(pair.server.session.has_pending_input());
  // Nothing was received for long, but nothing could be.
  pair.servers.rules.keepalive = {.ping_interval_ms = 0, .idle_timeout_ms = 100};
  pair.server.session.on_deadline(1'000'000, false);
  EXPECT_TRUE(pair.server.session.is_open());
  pair.server.session.terminate();
  EXPECT_FALSE(pair.server.session.has_pending_input());
  EXPECT_EQ(pair.server.session.received_bytes(), 0U);
}

}  // namespace
}  // namespace websockets
