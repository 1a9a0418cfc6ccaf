// SPDX-License-Identifier: MIT
#include "websocket/message_reader.h"

#include <gtest/gtest.h>

#include <set>

#include "reader_feeder.h"

namespace websockets {
namespace {

using namespace protocol_support;

constexpr std::uint64_t kLongest = (std::uint64_t{1} << 63U) - 1;

std::string repeated(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t index = 0; index < count; ++index) {
    all += text;
  }
  return all;
}

Bytes many_fragments(std::size_t count, const std::string& payload) {
  Bytes input = binary_frame(payload, false);
  for (std::size_t index = 1; index < count; ++index) {
    const Bytes fragment = continuation_frame(payload, false);
    input.insert(input.end(), fragment.begin(), fragment.end());
  }
  return joined({input, continuation_frame(payload, true)});
}

Bytes frame_of(const FrameSpec& spec) { return make_frame(spec); }

struct GoodCase {
  const char* name;
  Bytes input;
  std::vector<std::string> events;
};

const std::string kGreek = "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5";
const std::string kFace = "\xF0\x9F\x98\x80";

std::vector<GoodCase> good_cases() {
  return {
      {"nothing", {}, {}},
      {"text", text_frame("Hello"), {"text:Hello"}},
      {"binary", binary_frame(std::string("\0\xFF\x80", 3)), {std::string("binary:\0\xFF\x80", 10)}},
      {"empty text", text_frame(""), {"text:"}},
      {"empty binary", binary_frame(""), {"binary:"}},
      {"several",
       joined({text_frame("a"), binary_frame("bc"), text_frame(""), text_frame("d")}),
       {"text:a", "binary:bc", "text:", "text:d"}},
      {"125 bytes", text_frame(repeated("x", 125)), {"text:" + repeated("x", 125)}},
      {"126 bytes", text_frame(repeated("x", 126)), {"text:" + repeated("x", 126)}},
      {"127 bytes", binary_frame(repeated("x", 127)), {"binary:" + repeated("x", 127)}},
      {"two fragments", joined({text_frame("Hel", false), continuation_frame("lo", true)}), {"text:Hello"}},
      {"empty fragments",
       joined({binary_frame("", false), continuation_frame("", false), continuation_frame("a", false),
               continuation_frame("", true)}),
       {"binary:a"}},
      {"nothing but empty fragments", joined({text_frame("", false), continuation_frame("", true)}), {"text:"}},
      {"pings between fragments",
       joined({text_frame("one ", false), ping_frame("p"), continuation_frame("two ", false), pong_frame(""),
               ping_frame(repeated("q", 125)), continuation_frame("three", true), text_frame("four")}),
       {"ping:p", "pong:", "ping:" + repeated("q", 125), "text:one two three", "text:four"}},
      {"pings between messages",
       joined({ping_frame(""), text_frame("a"), ping_frame("bb"), pong_frame("ccc")}),
       {"ping:", "text:a", "ping:bb", "pong:ccc"}},
      {"a ping in front of the first byte",
       joined({text_frame("", false), ping_frame("p"), continuation_frame("x", true)}),
       {"ping:p", "text:x"}},
      {"characters", text_frame(kGreek + kFace), {"text:" + kGreek + kFace}},
      {"a character over fragments",
       joined({text_frame("\xF0", false), continuation_frame("\x9F", false), ping_frame("\xFF"),
               continuation_frame("\x98\x80", true)}),
       {"ping:\xFF", "text:" + kFace}},
      {"no UTF-8 in binary", binary_frame("\xC0\x80\xFF"), {"binary:\xC0\x80\xFF"}},
      {"a close frame without a body", joined({text_frame("a"), close_frame("")}), {"text:a", "close 1005:"}},
      {"a close frame with a code", close_frame(close_body(1000)), {"close 1000:"}},
      {"a close frame with a reason", close_frame(close_body(4999, kGreek)), {"close 4999:" + kGreek}},
      {"the longest reason", close_frame(close_body(3000, repeated("r", 123))), {"close 3000:" + repeated("r", 123)}},
      {"a close frame in a message",
       joined({text_frame("a", false), close_frame(close_body(1001, "bye"))}),
       {"close 1001:bye"}},
      {"bytes behind a close frame", joined({close_frame(""), text_frame("not to be read")}), {"close 1005:"}},
  };
}

TEST(MessageReader, ReadsWhatIsRightHoweverItIsSplit) {
  for (const GoodCase& good : good_cases()) {
    SCOPED_TRACE(good.name);
    EXPECT_EQ(Reference(good.input, {}).outcome(), (Outcome{good.events, ProtocolError::kNone}));
    ASSERT_NO_FATAL_FAILURE(expect_same_everywhere(good.input));
  }
}

struct BadCase {
  const char* name;
  Bytes input;
  ProtocolError error;
  std::vector<std::string> events{};  // in front of it
};

std::vector<BadCase> frame_faults() {
  return {
      {"RSV1", frame_of({.rsv_bits = 0x40}), ProtocolError::kReservedBits},
      {"RSV2", joined({text_frame("a"), frame_of({.rsv_bits = 0x20})}), ProtocolError::kReservedBits, {"text:a"}},
      {"RSV3 of a ping", frame_of({.opcode = Opcode::kPing, .rsv_bits = 0x10}), ProtocolError::kReservedBits},
      {"RSV1 of a ping", frame_of({.opcode = Opcode::kPing, .rsv_bits = 0x40}), ProtocolError::kReservedBits},
      {"RSV1 of a continuation",
       joined({text_frame("a", false), frame_of({.opcode = Opcode::kContinuation, .rsv_bits = 0x40})}),
       ProtocolError::kReservedBits},
      {"opcode 3", frame_of({.opcode = Opcode{3}}), ProtocolError::kReservedOpcode},
      {"opcode 3 in a message", joined({text_frame("a", false), frame_of({.opcode = Opcode{3}})}),
       ProtocolError::kReservedOpcode},
      {"opcode 11", frame_of({.opcode = Opcode{11}}), ProtocolError::kReservedOpcode},
      {"opcode 15", frame_of({.opcode = Opcode{15}}), ProtocolError::kReservedOpcode},
      {"no mask", frame_of({.payload = "abc", .masked = false}), ProtocolError::kUnmaskedFrame},
      {"no mask and no payload", frame_of({.masked = false}), ProtocolError::kUnmaskedFrame},
      {"no mask on a ping", frame_of({.opcode = Opcode::kPing, .masked = false}), ProtocolError::kUnmaskedFrame},
      {"no mask on a long frame", frame_of({.payload = repeated("x", 200), .masked = false}),
       ProtocolError::kUnmaskedFrame},
      {"16 bits for 125", frame_of({.payload = repeated("x", 125), .length_bytes = 3}),
       ProtocolError::kNonMinimalLength},
      {"16 bits for none", frame_of({.length_bytes = 3}), ProtocolError::kNonMinimalLength},
      {"64 bits for 126", frame_of({.payload = repeated("x", 126), .length_bytes = 9}),
       ProtocolError::kNonMinimalLength},
      {"64 bits for 65535", frame_of({.length_bytes = 9, .announced_bytes = 65535}), ProtocolError::kNonMinimalLength},
      {"the top bit", frame_of({.announced_bytes = std::uint64_t{1} << 63U}), ProtocolError::kLengthTopBit},
      {"all bits", frame_of({.announced_bytes = ~std::uint64_t{0}}), ProtocolError::kLengthTopBit},
      {"a long ping", ping_frame(repeated("p", 126)), ProtocolError::kControlFrameTooLong},
      {"a very long close frame", frame_of({.opcode = Opcode::kClose, .announced_bytes = 65536}),
       ProtocolError::kControlFrameTooLong},
      {"a ping without FIN", frame_of({.opcode = Opcode::kPing, .fin = false}), ProtocolError::kControlFrameFragmented},
      {"a close frame without FIN", frame_of({.opcode = Opcode::kClose, .fin = false}),
       ProtocolError::kControlFrameFragmented},
      {"a continuation of nothing", continuation_frame("a", true), ProtocolError::kUnexpectedContinuation},
      {"a continuation too many",
       joined({text_frame("a", false), continuation_frame("b", true), continuation_frame("c", false)}),
       ProtocolError::kUnexpectedContinuation,
       {"text:ab"}},
      {"a text in a message",
       joined({text_frame("a", false), ping_frame(""), text_frame("b")}),
       ProtocolError::kExpectedContinuation,
       {"ping:"}},
      {"a binary in a message", joined({binary_frame("a", false), binary_frame("b", false)}),
       ProtocolError::kExpectedContinuation},
  };
}

std::vector<BadCase> payload_faults() {
  return {
      {"an overlong character", text_frame("ab\xC0\x80zzzz"), ProtocolError::kInvalidUtf8},
      {"a surrogate", text_frame("\xED\xA0\x80"), ProtocolError::kInvalidUtf8},
      {"above U+10FFFF",
       joined({text_frame("a"), text_frame("\xF4\x90\x80\x80")}),
       ProtocolError::kInvalidUtf8,
       {"text:a"}},
      {"a text that ends in a character", text_frame("a\xE2\x82"), ProtocolError::kInvalidUtf8},
      {"fragments that end in a character",
       joined({text_frame("\xE2", false), continuation_frame("\x82", false), continuation_frame("", true)}),
       ProtocolError::kInvalidUtf8},
      {"an impossible second fragment",
       joined({text_frame("\xE2", false), continuation_frame("(more to come)", false)}), ProtocolError::kInvalidUtf8},
      {"bad text in a fragment that is never complete",
       joined({text_frame("good \xCE\xBA\xE1\xBD\xB9", false),
               frame_of({.opcode = Opcode::kContinuation, .payload = "\xF4\x90 and", .announced_bytes = 100})}),
       ProtocolError::kInvalidUtf8},
      {"bad text far into a frame", text_frame(repeated("x", 200) + "\xFF" + repeated("x", 50)),
       ProtocolError::kInvalidUtf8},
      {"half a code", close_frame("\x03"), ProtocolError::kCloseBodyTooShort},
      {"code 0", close_frame(close_body(0)), ProtocolError::kInvalidCloseCode},
      {"code 999", close_frame(close_body(999)), ProtocolError::kInvalidCloseCode},
      {"code 1004", close_frame(close_body(1004)), ProtocolError::kInvalidCloseCode},
      {"code 1005", close_frame(close_body(1005)), ProtocolError::kInvalidCloseCode},
      {"code 1006",
       joined({ping_frame("p"), close_frame(close_body(1006, "lost"))}),
       ProtocolError::kInvalidCloseCode,
       {"ping:p"}},
      {"code 1015", close_frame(close_body(1015)), ProtocolError::kInvalidCloseCode},
      {"code 2999", close_frame(close_body(2999)), ProtocolError::kInvalidCloseCode},
      {"code 5000", close_frame(close_body(5000)), ProtocolError::kInvalidCloseCode},
      {"code 65535", close_frame(close_body(65535)), ProtocolError::kInvalidCloseCode},
      {"a reason that is not UTF-8", close_frame(close_body(1000, "a\xFF")), ProtocolError::kInvalidCloseReason},
      {"a reason that ends in a character", close_frame(close_body(1000, "\xE2\x82")),
       ProtocolError::kInvalidCloseReason},
  };
}

void expect_faults(const std::vector<BadCase>& cases, const ReceiveRules& rules = {}) {
  for (const BadCase& bad : cases) {
    SCOPED_TRACE(bad.name);
    EXPECT_EQ(Reference(bad.input, rules).outcome(), (Outcome{bad.events, bad.error}));
    ASSERT_NO_FATAL_FAILURE(expect_same_everywhere(bad.input, rules));
  }
}

TEST(MessageReader, RefusesWrongFramesAtTheFirstByteThatShowsIt) { expect_faults(frame_faults()); }

TEST(MessageReader, RefusesWrongPayloadsAtTheFirstByteThatShowsIt) { expect_faults(payload_faults()); }

TEST(MessageReader, RefusesMessagesOverTheLimitAtTheirHeader) {
  const std::vector<BadCase> cases = {
      {"one byte more", frame_of({.announced_bytes = 11}), ProtocolError::kMessageTooBig},
      {"16 bits", frame_of({.announced_bytes = 126}), ProtocolError::kMessageTooBig},
      {"64 bits", frame_of({.opcode = Opcode::kBinary, .announced_bytes = kLongest}), ProtocolError::kMessageTooBig},
      {"behind a good one",
       joined({text_frame("0123456789"), text_frame("0123456789a")}),
       ProtocolError::kMessageTooBig,
       {"text:0123456789"}},
      {"the sum of fragments",
       joined({text_frame("012345", false), ping_frame("p"), continuation_frame("67890", true)}),
       ProtocolError::kMessageTooBig,
       {"ping:p"}},
      {"a sum near the end of the numbers",
       joined({text_frame("012345", false), frame_of({.opcode = Opcode::kContinuation, .announced_bytes = kLongest})}),
       ProtocolError::kMessageTooBig},
  };
  expect_faults(cases, {.max_message_bytes = 10});
  expect_faults({{"any byte", text_frame("a"), ProtocolError::kMessageTooBig}}, {.max_message_bytes = 0});
  expect_faults(
      {{"2^63 at most",
        joined({text_frame("ab", false), frame_of({.opcode = Opcode::kContinuation, .announced_bytes = kLongest})}),
        ProtocolError::kMessageTooBig}},
      {.max_message_bytes = kLongest + 1});
}

TEST(MessageReader, TakesMessagesUpToTheLimit) {
  const ReceiveRules rules = {.max_message_bytes = 10};
  expect_same_everywhere(
      joined({text_frame("0123456789"), text_frame("0123", false), continuation_frame("456789", false),
              continuation_frame("", true), ping_frame("longer than ten bytes")}),
      rules);
  expect_same_everywhere(joined({text_frame(""), text_frame("", false), continuation_frame("", true)}),
                         {.max_message_bytes = 0});
  expect_same_everywhere(frame_of({.payload = "begins", .announced_bytes = kLongest}),
                         {.max_message_bytes = ~std::uint64_t{0}});
}

TEST(MessageReader, RefusesTooManyTinyFragments) {
  const ReceiveRules rules;
  const std::string letters = repeated("x", 15);
  for (const auto& [count, payload, error] : {std::tuple{1023U, std::string("a"), ProtocolError::kNone},
                                              {1024U, "a", ProtocolError::kTooManyFragments},
                                              {1024U, "", ProtocolError::kTooManyFragments},
                                              {5000U, letters, ProtocolError::kTooManyFragments},
                                              {5000U, letters + "x", ProtocolError::kNone}}) {
    const Bytes input = many_fragments(count, payload);
    const Reference reference(input, rules);
    EXPECT_EQ(reference.outcome().error, error) << count;
    std::mt19937 random(count);
    for (const FeedOptions& options : kAllOptions) {
      ASSERT_NO_FATAL_FAILURE(expect_same(input, {}, reference, rules, options));
      ASSERT_NO_FATAL_FAILURE(expect_same(input, random_cuts(random, input.size(), 30), reference, rules, options));
    }
  }
}

// How many calls it takes, each of which does something.
std::size_t calls_to_consume(Bytes bytes) {
  MessageReader reader;
  Recorder recorder;
  std::span<std::uint8_t> input(bytes);
  std::size_t calls = 0;
  for (std::size_t left = bytes.size() + 1; !input.empty() && input.size() < left; ++calls) {
    left = input.size();
    EXPECT_EQ(reader.consume(input, {}, recorder), ProtocolError::kNone);
  }
  EXPECT_TRUE(input.empty());
  return calls;
}

TEST(MessageReader, StopsWhenTheBudgetIsSpent) {
  const auto many = [](std::size_t count, const Bytes& frame) {
    Bytes bytes;
    for (std::size_t i = 0; i < count; ++i) bytes.insert(bytes.end(), frame.begin(), frame.end());
    return bytes;
  };
  const Bytes message = binary_frame("hello");
  EXPECT_EQ(calls_to_consume(many(400, message)), 1U);
  EXPECT_GE(calls_to_consume(many(4000, message)), 8U);
  const Bytes ping = ping_frame("");
  EXPECT_EQ(calls_to_consume(many(700, ping)), 1U);
  EXPECT_GE(calls_to_consume(many(7000, ping)), 8U);
  const Bytes longer = binary_frame(repeated("x", 200));
  EXPECT_EQ(calls_to_consume(many(400, longer)), 1U);
  EXPECT_GE(calls_to_consume(many(4000, longer)), 8U);
}

TEST(MessageReader, CountsTheFragmentsOfEachMessageByItself) {
  const ReceiveRules rules;
  const Bytes input = joined({many_fragments(1000, "a"), many_fragments(1000, "b"), many_fragments(20, "c")});
  const Reference reference(input, rules);
  EXPECT_EQ(reference.outcome().events.size(), 3U);
  for (const FeedOptions& options : kAllOptions) {
    ASSERT_NO_FATAL_FAILURE(expect_same(input, {1, 5000, 9000}, reference, rules, options));
  }
}

TEST(MessageReader, LeavesTextUncheckedWhenToldSoButNotTheReasonOfAClose) {
  const ReceiveRules rules = {.check_utf8 = false};
  expect_same_everywhere(joined({text_frame("\xFF"), text_frame("\xC0", false), continuation_frame("\xE2", true)}),
                         rules);
  expect_faults({{"reason", close_frame(close_body(1000, "\xFF")), ProtocolError::kInvalidCloseReason}}, rules);
}

TEST(MessageReader, ReadsUnmaskedFramesOfAServer) {
  const ReceiveRules rules = {.expect_masked = false};
  const auto unmasked = [](Opcode opcode, std::string payload, bool fin = true) {
    return frame_of({.opcode = opcode, .payload = std::move(payload), .fin = fin, .masked = false});
  };
  expect_same_everywhere(joined({unmasked(Opcode::kText, "Hello"), unmasked(Opcode::kPing, "p"),
                                 unmasked(Opcode::kBinary, repeated("b", 130)), unmasked(Opcode::kText, "a", false),
                                 unmasked(Opcode::kContinuation, "b"), unmasked(Opcode::kClose, close_body(1000))}),
                         rules);
  expect_faults(
      {{"text", text_frame("Hello"), ProtocolError::kMaskedFrame},
       {"empty", text_frame(""), ProtocolError::kMaskedFrame},
       {"ping", joined({unmasked(Opcode::kText, "a"), ping_frame("")}), ProtocolError::kMaskedFrame, {"text:a"}}},
      rules);
}

// Which of several faults is named must not depend on the split.
TEST(MessageReader, JudgesEveryPairOfFirstBytes) {
  for (const bool in_message : {false, true}) {
    for (unsigned first = 0; first < 256; ++first) {
      for (unsigned second = 0; second < 256; ++second) {
        const Bytes tail = {static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(second), 0, 0, 0, 0};
        const Bytes input = in_message ? joined({text_frame("a", false), tail}) : tail;
        const ReceiveRules rules = {.max_message_bytes = 50};
        const Reference reference(input, rules);
        for (std::size_t cut = input.size() - 6; cut < input.size(); ++cut) {
          ASSERT_NO_FATAL_FAILURE(expect_same(input, {cut}, reference, rules, {}));
        }
      }
    }
  }
}

TEST(MessageReader, ReportsEveryError) {
  // Those that it does not see are of tests of their own, here and in message_compression_test.cpp.
  std::set<ProtocolError> seen = {
      ProtocolError::kNone,        ProtocolError::kMessageTooBig,      ProtocolError::kTooManyFragments,
      ProtocolError::kMaskedFrame, ProtocolError::kInvalidCompression, ProtocolError::kWastefulCompression};
  for (const std::vector<BadCase>& cases : {frame_faults(), payload_faults()}) {
    for (const BadCase& bad : cases) {
      seen.insert(bad.error);
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(ProtocolError::kTooManyFragments) + 1);
}

TEST(MessageReader, IsSmall) { EXPECT_LE(sizeof(MessageReader), 2 * sizeof(void*)); }

}  // namespace
}  // namespace websockets
