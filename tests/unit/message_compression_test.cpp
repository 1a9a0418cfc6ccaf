// SPDX-License-Identifier: MIT
// Compressed messages through MessageReader.
#include "websocket/message_compression.h"

#include <gtest/gtest.h>

#include "reader_feeder.h"

namespace websockets {
namespace {

using namespace protocol_support;

constexpr unsigned kRsv1 = 0x40;
const std::string kHello = "\xF2\x48\xCD\xC9\xC9\x07" + std::string(1, '\0');  // RFC 7692 7.2.3.1
const std::string kHelloAgain = "\xF2" + std::string("\0\x11\0\0", 4);         // 7.2.3.2

class CompressedRecorder : public Recorder {
 public:
  explicit CompressedRecorder(MessageCompression* compression) : compression_(compression) {}
  MessageCompression* compression() override { return compression_; }

 private:
  MessageCompression* compression_;
};

struct Settings {
  bool takeover = true;
  bool chunk_mode = false;
  bool stop_at_each_event = false;
  std::uint64_t max_message_bytes = 1U << 20U;
  std::size_t piece_bytes = 1U << 30U;
};

// One connection that agreed on compression.
class Peer {
 public:
  explicit Peer(const Settings& settings)
      : settings_(settings),
        pool_(CompressionOptions{}),
        compression_(pool_, {.client_no_context_takeover = !settings.takeover}),
        recorder(&compression_) {
    rules_.max_message_bytes = settings.max_message_bytes;
    reader_.set_chunk_mode(settings.chunk_mode);
    recorder.go_on = !settings.stop_at_each_event;
  }

  Peer& feed(const Bytes& input) {
    for (std::size_t at = 0; at < input.size() && !recorder.finished(); at += settings_.piece_bytes) {
      Bytes piece(input.begin() + static_cast<std::ptrdiff_t>(at),
                  input.begin() + static_cast<std::ptrdiff_t>(std::min(input.size(), at + settings_.piece_bytes)));
      std::span<std::uint8_t> rest(piece);
      while ((!rest.empty() || reader_.is_inflating()) && !recorder.finished()) {
        const std::size_t calls = recorder.calls;
        recorder.outcome.error = reader_.consume(rest, rules_, recorder);
        EXPECT_TRUE(!settings_.stop_at_each_event || recorder.calls <= calls + 1) << "went on after a false";
      }
    }
    return *this;
  }

 private:
  Settings settings_;
  CompressionPool pool_;
  MessageCompression compression_;
  MessageReader reader_;
  ReceiveRules rules_;

 public:
  CompressedRecorder recorder;
};

Bytes compressed_frame(std::string payload, bool fin = true, Opcode opcode = Opcode::kText) {
  return make_frame({.opcode = opcode, .payload = std::move(payload), .fin = fin, .rsv_bits = kRsv1});
}

std::string deflated(std::string_view message) {
  Deflater deflater({.level = 9});
  ByteBuffer out;
  deflater.compress(to_bytes(message), out);
  return to_text(out.bytes());
}

std::string noise(std::size_t bytes) {
  std::mt19937 random(5);
  std::string text(bytes, '\0');
  for (char& letter : text) letter = static_cast<char>('a' + random() % 26);
  return text;
}

// In all modes, and in pieces of some sizes.
void expect(const Bytes& input, const Outcome& wanted, Settings settings = {}) {
  for (const std::size_t piece_bytes : {std::size_t{1}, std::size_t{2}, std::size_t{13}, std::size_t{1} << 30U}) {
    for (const unsigned mode : {0U, 1U, 2U, 3U}) {
      settings.piece_bytes = piece_bytes;
      settings.chunk_mode = (mode & 1U) != 0;
      settings.stop_at_each_event = (mode & 2U) != 0;
      Peer peer(settings);
      EXPECT_EQ(peer.feed(input).recorder.outcome, wanted) << "pieces of " << piece_bytes << ", mode " << mode;
    }
  }
}

TEST(CompressedMessage, IsDelivered) {
  expect(compressed_frame(kHello), {{"text:Hello"}});
  expect(compressed_frame(kHello, true, Opcode::kBinary), {{"binary:Hello"}});
  expect(joined({compressed_frame(kHello), compressed_frame(kHelloAgain)}), {{"text:Hello", "text:Hello"}});
}

TEST(CompressedMessage, MayBeEmpty) {
  expect(joined({compressed_frame(std::string(1, '\0')), compressed_frame(""), compressed_frame("", false),
                 continuation_frame("", true), compressed_frame(kHello)}),
         {{"text:", "text:", "text:", "text:Hello"}});
}

TEST(CompressedMessage, MayReferToTheOneBeforeOnlyIfThatWasAgreed) {
  expect(joined({compressed_frame(kHello), compressed_frame(kHello)}), {{"text:Hello", "text:Hello"}},
         {.takeover = false});
  expect(joined({compressed_frame(kHello), compressed_frame(kHelloAgain)}),
         {{"text:Hello"}, ProtocolError::kInvalidCompression}, {.takeover = false});
}

TEST(CompressedMessage, MayBeFragmented) {
  // RFC 7692 7.2.3.1, at each place.
  for (std::size_t at = 0; at <= kHello.size(); ++at) {
    expect(joined({compressed_frame(kHello.substr(0, at), false), ping_frame("p"),
                   continuation_frame(kHello.substr(at), true), compressed_frame(kHelloAgain)}),
           {{"ping:p", "text:Hello", "text:Hello"}});
  }
}

TEST(CompressedMessage, MayStandBetweenOthers) {
  expect(joined({text_frame("a"), compressed_frame(kHello), text_frame("b", false), continuation_frame("c", true),
                 binary_frame("d"), compressed_frame(kHelloAgain)}),
         {{"text:a", "text:Hello", "text:bc", "binary:d", "text:Hello"}});
}

TEST(CompressedMessage, IsMarkedInItsFirstFrameOnly) {
  const auto frame = [](Opcode opcode, bool fin) {
    return make_frame({.opcode = opcode, .payload = "a", .fin = fin, .rsv_bits = kRsv1});
  };
  expect(frame(Opcode::kPing, true), {{}, ProtocolError::kReservedBits});
  expect(frame(Opcode::kPong, true), {{}, ProtocolError::kReservedBits});
  expect(frame(Opcode::kClose, true), {{}, ProtocolError::kReservedBits});
  expect(frame(Opcode::kContinuation, true), {{}, ProtocolError::kReservedBits});
  expect(joined({compressed_frame(kHello, false), frame(Opcode::kContinuation, true)}),
         {{}, ProtocolError::kReservedBits});
  expect(joined({text_frame("a", false), frame(Opcode::kContinuation, true)}), {{}, ProtocolError::kReservedBits});
  expect(joined({text_frame("a", false), compressed_frame(kHello)}), {{}, ProtocolError::kExpectedContinuation});
  expect(make_frame({.rsv_bits = kRsv1 | 0x20U}), {{}, ProtocolError::kReservedBits});
}

TEST(CompressedMessage, NeedsToBeAgreed) {
  Recorder recorder;
  MessageReader reader;
  Bytes input = compressed_frame(kHello);
  std::span<std::uint8_t> rest(input);
  EXPECT_EQ(reader.consume(rest, {}, recorder), ProtocolError::kReservedBits);
}

TEST(CompressedMessage, MustBeDeflateData) {
  for (const std::string payload : {"garbage", "\xFF", "\xF2\x48\xCD"}) {
    expect(compressed_frame(payload), {{}, ProtocolError::kInvalidCompression});
    expect(joined({compressed_frame(payload, false), continuation_frame("", true)}),
           {{}, ProtocolError::kInvalidCompression});
  }
  expect(compressed_frame(kHello + "garbage"), {{}, ProtocolError::kInvalidCompression});
}

TEST(CompressedMessage, MustBeUtf8IfItIsText) {
  expect(compressed_frame(deflated("Gr\xC3\xBC\xC3\x9F"
                                   "e")),
         {{"text:Gr\xC3\xBC\xC3\x9F"
           "e"}});
  for (const char* text : {"a\xFF", "\xC3", "a\xC3(", "\xED\xA0\x80"}) {
    expect(compressed_frame(deflated(text)), {{}, ProtocolError::kInvalidUtf8});
    expect(compressed_frame(deflated(text), true, Opcode::kBinary), {{std::string("binary:") + text}});
  }
  Peer peer({});
  const std::string long_and_wrong = std::string(100000, 'x') + "\xFF";
  EXPECT_EQ(peer.feed(compressed_frame(deflated(long_and_wrong))).recorder.outcome.error, ProtocolError::kInvalidUtf8);
}

TEST(CompressedMessage, IsAsLargeAsItMayBeAndNotLarger) {
  for (const std::size_t limit : {1U, 5U, 1023U, 1024U, 1025U, 65536U, 100000U}) {
    for (const bool takeover : {true, false}) {
      const Settings settings{.takeover = takeover, .max_message_bytes = limit};
      const std::string most = noise(limit);
      expect(compressed_frame(deflated(most)), {{"text:" + most}}, settings);
      expect(compressed_frame(deflated(std::string(limit, 'x'))), {{"text:" + std::string(limit, 'x')}}, settings);
      expect(compressed_frame(deflated(std::string(limit + 1, 'x'))), {{}, ProtocolError::kMessageTooBig}, settings);
    }
  }
}

// 64 MiB in 64 KiB: the memory that the heap gave out does not show it.
TEST(CompressedMessage, MayBeABomb) {
  const std::string bomb = deflated(std::string(64U << 20U, 'x'));
  ASSERT_LT(bomb.size(), 70000U);
  for (const bool chunk_mode : {false, true}) {
    Peer peer({.chunk_mode = chunk_mode, .max_message_bytes = 1U << 20U});
    EXPECT_EQ(peer.feed(compressed_frame(bomb)).recorder.outcome.error, ProtocolError::kMessageTooBig);
    std::size_t delivered = 0;
    for (const std::size_t bytes : peer.recorder.piece_sizes) {
      EXPECT_LE(bytes, 64U << 10U);
      delivered += bytes;
    }
    EXPECT_LE(delivered, 1U << 20U);
  }
}

// So that the others are served meanwhile.
TEST(CompressedMessage, IsDecompressedInSeveralCallsIfItIsLarge) {
  constexpr std::size_t kMostBytes = 100000;
  const std::string text = std::string(500000, 'x') + noise(500000) + "\xC3\xBC";
  const std::string payload = deflated(text);
  for (const Bytes& first : {compressed_frame(payload), joined({compressed_frame(payload.substr(0, 1000), false),
                                                                continuation_frame(payload.substr(1000), true)})}) {
    Bytes input = joined({first, compressed_frame(kHello)});
    CompressionPool pool(CompressionOptions{});
    MessageCompression compression(pool, {.client_no_context_takeover = true});
    CompressedRecorder recorder(&compression);
    MessageReader reader;
    std::span<std::uint8_t> rest(input);
    std::size_t calls = 0;
    for (std::size_t bytes = 0; recorder.calls == 0; ++calls) {
      ASSERT_EQ(reader.consume(rest, {}, recorder), ProtocolError::kNone);
      EXPECT_EQ(reader.is_inflating(), recorder.calls == 0);
      EXPECT_LE(compression.unfinished().size(), bytes + kMostBytes);
      bytes = compression.unfinished().size();
    }
    EXPECT_GE(calls, text.size() / kMostBytes);
    EXPECT_FALSE(rest.empty()) << "there was a call for each";
    ASSERT_EQ(reader.consume(rest, {}, recorder), ProtocolError::kNone);
    EXPECT_EQ(recorder.outcome, (Outcome{{"text:" + text, "text:Hello"}}));
    EXPECT_EQ(compression.unfinished().capacity(), 0U);
  }
}

std::string many_empty_blocks() {
  const std::string empty_block("\0\0\0\xFF\xFF", 5);
  std::string payload;
  for (int count = 0; count < 13000; ++count) payload += empty_block;  // 65000 bytes
  return payload;
}

TEST(CompressedMessage, IsDecompressedInSeveralCallsIfItIsLargeForNothing) {
  for (const bool chunk_mode : {false, true}) {
    Bytes input = compressed_frame(many_empty_blocks() + std::string(1, '\0'));
    CompressionPool pool(CompressionOptions{});
    MessageCompression compression(pool, {});
    CompressedRecorder recorder(&compression);
    MessageReader reader;
    reader.set_chunk_mode(chunk_mode);
    std::span<std::uint8_t> rest(input);
    std::size_t calls = 0;
    for (; recorder.calls == 0; ++calls) ASSERT_EQ(reader.consume(rest, {}, recorder), ProtocolError::kNone);
    EXPECT_GE(calls, 5U);
  }
}

TEST(CompressedMessage, MustNotConsistOfNothing) {
  const std::string payload = many_empty_blocks();
  const std::string end(1, '\0');
  for (const bool chunk_mode : {false, true}) {
    const Settings settings{.chunk_mode = chunk_mode};
    EXPECT_EQ(Peer(settings).feed(compressed_frame(payload + end)).recorder.outcome, (Outcome{{"text:"}}));
    EXPECT_EQ(Peer(settings).feed(compressed_frame(payload + payload + end)).recorder.outcome,
              (Outcome{{}, ProtocolError::kWastefulCompression}));
  }
}

// A little more than the message, which it may need if it cannot be compressed.
TEST(CompressedMessage, IsLimitedBeforeItIsDecompressed) {
  const auto announced = [](std::uint64_t bytes, Opcode opcode, unsigned rsv_bits) {
    return make_frame({.opcode = opcode, .rsv_bits = rsv_bits, .announced_bytes = bytes});
  };
  const Settings settings{.max_message_bytes = 1000};
  const auto error_of = [&](const Bytes& input) { return Peer(settings).feed(input).recorder.outcome.error; };
  EXPECT_EQ(error_of(announced(1126, Opcode::kText, kRsv1)), ProtocolError::kNone);
  EXPECT_EQ(error_of(announced(1127, Opcode::kText, kRsv1)), ProtocolError::kMessageTooBig);
  EXPECT_EQ(error_of(announced(1001, Opcode::kText, 0)), ProtocolError::kMessageTooBig);
  const Bytes first = compressed_frame(kHello, false);
  EXPECT_EQ(error_of(joined({first, announced(1119, Opcode::kContinuation, 0)})), ProtocolError::kNone);
  EXPECT_EQ(error_of(joined({first, announced(1120, Opcode::kContinuation, 0)})), ProtocolError::kMessageTooBig);
}

TEST(CompressedMessage, ArrivesInChunksOfALimitedSize) {
  std::string text = noise(200000);
  text += std::string(300000, 'y') + text;
  Peer peer({.chunk_mode = true});
  EXPECT_EQ(peer.feed(joined({compressed_frame(deflated(text)), compressed_frame(kHello)})).recorder.outcome,
            (Outcome{{"text:" + text, "text:Hello"}}));
  EXPECT_GT(peer.recorder.piece_sizes.size(), 10U);
  for (const std::size_t bytes : peer.recorder.piece_sizes) EXPECT_LE(bytes, 64U << 10U);
}

TEST(MessageCompression, SendsWhatIsShortOrDoesNotShrinkAsItIs) {
  CompressionPool pool({.wanted = {}, .level = 6, .min_bytes = 100});
  MessageCompression compression(pool, {.server_no_context_takeover = true});
  ByteBuffer out;
  EXPECT_FALSE(compression.compress(Bytes(99, 'x'), out));
  EXPECT_TRUE(compression.compress(Bytes(100, 'x'), out));
  std::mt19937 random(1);
  Bytes incompressible(1000);
  for (std::uint8_t& byte : incompressible) byte = static_cast<std::uint8_t>(random());
  out.clear();
  EXPECT_FALSE(compression.compress(incompressible, out));
  MessageCompression with_takeover(pool, {});
  EXPECT_TRUE(with_takeover.compress(incompressible, out)) << "the next message may refer to it";

  CompressionPool none({.wanted = {}, .level = 0});
  MessageCompression receiving_only(none, {});
  EXPECT_FALSE(receiving_only.compress(Bytes(1000, 'x'), out));
  EXPECT_FALSE(receiving_only.compress_shared(Bytes(1000, 'x'), out));
}

TEST(MessageCompression, SharesBetweenThoseThatKeepNoWindow) {
  CompressionPool pool({.wanted = {}, .level = 6, .min_bytes = 1});
  MessageCompression with_takeover(pool, {});
  MessageCompression without(pool, {.server_no_context_takeover = true});
  const auto compress = [](MessageCompression& compression, std::string_view message) {
    ByteBuffer out;
    EXPECT_TRUE(compression.compress(to_bytes(message), out));
    return out.size();
  };
  const std::string message = noise(500);
  const std::size_t first = compress(without, message);
  EXPECT_EQ(compress(without, message), first);
  EXPECT_EQ(compress(with_takeover, message), first);
  EXPECT_LT(compress(with_takeover, message), first / 10);
  EXPECT_EQ(compress(without, message), first);
}

}  // namespace
}  // namespace websockets
