// SPDX-License-Identifier: MIT
// Where the reader puts what it reads: in place, in its buffer, or in chunks; and what that costs.
#include <gtest/gtest.h>

#include <array>

#include "reader_feeder.h"

namespace websockets {
namespace {

using namespace protocol_support;

constexpr std::size_t kKib = 1024;

// Text with characters of every length, the same each time.
std::string long_text(std::size_t least_bytes) {
  std::string text;
  for (std::uint32_t code = 'a'; text.size() < least_bytes; code = code * 5 % 0xFFFF1 + 0x20) {
    text += encode_character(code);
  }
  return text;
}

struct Fed {
  MessageReader reader;
  Recorder recorder;
  ReceiveRules rules;

  ProtocolError consume(Bytes input) {
    std::span<std::uint8_t> span(input);
    const ProtocolError error = reader.consume(span, rules, recorder);
    left = span.size();
    return error;
  }
  ProtocolError consume_in_place(std::string_view payload_bytes) {
    const std::span<std::uint8_t> space = reader.direct_space();
    EXPECT_GE(space.size(), payload_bytes.size());
    std::copy(payload_bytes.begin(), payload_bytes.end(), space.begin());
    Budget budget;
    return reader.consume_in_place(payload_bytes.size(), rules, recorder, budget);
  }
  const std::vector<std::string>& events() const { return recorder.outcome.events; }

  std::size_t left = 0;  // of the last input
};

Bytes header_of(std::uint64_t announced_bytes, bool fin = true, Opcode opcode = Opcode::kBinary) {
  return make_frame({.opcode = opcode, .fin = fin, .announced_bytes = announced_bytes});
}

TEST(MessageReaderPieces, DeliversWholeFramesFromTheInput) {
  for (const std::size_t size : {0U, 20U, 125U, 126U, 1000U, 65535U, 65536U}) {
    Fed fed;
    Bytes input = joined({text_frame("first"), binary_frame(std::string(size, 'x')), ping_frame("p")});
    const std::uint8_t* const place = input.data() + input.size() - size - 7;
    std::span<std::uint8_t> span(input);
    EXPECT_EQ(fed.reader.consume(span, fed.rules, fed.recorder), ProtocolError::kNone);
    ASSERT_EQ(fed.recorder.places.size(), 2U);
    EXPECT_EQ(fed.recorder.places[1], place) << size;
  }
}

TEST(MessageReaderPieces, ReadsLargeMessagesAtEverySplit) {
  const ReceiveRules rules;
  const std::string text = long_text(17 * kKib);
  const Bytes input = joined({ping_frame("p"), text_frame(text), text_frame("end")});
  const Reference reference(input, rules);
  ASSERT_EQ(reference.outcome().events.size(), 3U);
  for (std::size_t cut = 0; cut <= input.size(); ++cut) {
    ASSERT_NO_FATAL_FAILURE(expect_same(input, {cut}, reference, rules, {.direct = true}));
  }
  for (const FeedOptions& options : kAllOptions) {
    for (std::size_t cut = 0; cut <= input.size(); cut += cut < 40 ? 1 : 97) {
      ASSERT_NO_FATAL_FAILURE(expect_same(input, {cut}, reference, rules, options));
    }
    std::mt19937 random(1);
    for (int round = 0; round < 300; ++round) {
      ASSERT_NO_FATAL_FAILURE(expect_same(input, random_cuts(random, input.size(), 2), reference, rules, options));
    }
  }
}

TEST(MessageReaderPieces, ReadsLargeFragmentsAtRandomSplits) {
  const ReceiveRules rules;
  const std::string text = long_text(200 * kKib);
  const Bytes input = joined({text_frame(text.substr(0, 65535), false), ping_frame("between"),
                              continuation_frame(text.substr(65535, 65536), false), continuation_frame("", false),
                              continuation_frame(text.substr(131071, 10), false), ping_frame(std::string(125, 'q')),
                              continuation_frame(text.substr(131081), true), text_frame("end")});
  const Reference reference(input, rules);
  ASSERT_EQ(reference.outcome().events.size(), 4U);
  std::mt19937 random(2);
  for (const FeedOptions& options : kAllOptions) {
    for (std::size_t cuts = 0; cuts < 60; ++cuts) {
      ASSERT_NO_FATAL_FAILURE(expect_same(input, random_cuts(random, input.size(), cuts), reference, rules, options));
    }
  }
}

// A byte is changed here and there in a stream of frames of all kinds: whatever comes of it, it comes at every split.
TEST(MessageReaderPieces, AgreesWithTheReferenceOnRandomStreams) {
  std::mt19937 random(3);
  const auto random_frame = [&random](Opcode opcode, bool fin) {
    const std::size_t size = is_control(opcode) ? random() % 20 : random() % 200;
    return make_frame({.opcode = opcode, .payload = long_text(size), .fin = fin});
  };
  for (int round = 0; round < 4000; ++round) {
    const ReceiveRules rules = {.max_message_bytes = 400};
    Bytes input;
    bool in_message = false;
    for (auto count = random() % 8; count > 0; --count) {
      const bool fin = random() % 2 == 0;
      const Opcode data = in_message ? Opcode::kContinuation : random() % 2 == 0 ? Opcode::kText : Opcode::kBinary;
      const bool control = random() % 4 == 0;
      const Opcode opcode = control ? (random() % 2 == 0 ? Opcode::kPing : Opcode::kPong) : data;
      input = joined({input, random_frame(opcode, control || fin)});
      in_message = control ? in_message : !fin;
    }
    for (auto changes = input.empty() ? 0 : random() % 3; changes > 0; --changes) {
      input[random() % input.size()] = static_cast<std::uint8_t>(random());
    }
    const Reference reference(input, rules);
    for (const FeedOptions& options : kAllOptions) {
      for (std::size_t cuts = 0; cuts < 5; ++cuts) {
        ASSERT_NO_FATAL_FAILURE(expect_same(input, random_cuts(random, input.size(), cuts), reference, rules, options))
            << "round " << round;
      }
    }
  }
}

TEST(MessageReaderPieces, OffersDirectSpaceOnlyInsideALargePayload) {
  Fed fed;
  EXPECT_TRUE(fed.reader.direct_space().empty());
  fed.consume(header_of(100));
  EXPECT_TRUE(fed.reader.direct_space().empty()) << "a small one is not worth it";
  fed.consume(Bytes(100, 0));
  EXPECT_TRUE(fed.reader.direct_space().empty());
  Bytes header = header_of(100 * kKib);
  const std::uint8_t last = header.back();
  header.pop_back();
  fed.consume(header);
  EXPECT_TRUE(fed.reader.direct_space().empty()) << "the header is not complete";
  fed.consume({last});
  EXPECT_EQ(fed.reader.remaining_frame_bytes(), 100 * kKib);
  while (fed.reader.remaining_frame_bytes() >= 16 * kKib) {
    const std::size_t count = fed.reader.direct_space().size();
    ASSERT_GE(count, 16 * kKib);
    ASSERT_LE(count, fed.reader.remaining_frame_bytes());
    fed.consume_in_place(std::string(count, 'x'));
  }
  EXPECT_TRUE(fed.reader.direct_space().empty());
  fed.consume(Bytes(fed.reader.remaining_frame_bytes(), 0));
  EXPECT_EQ(fed.events().size(), 2U);
}

TEST(MessageReaderPieces, OffersNoDirectSpaceInASplitControlFrameOrInChunkMode) {
  Fed fed;
  fed.consume(header_of(20 * kKib, false));
  fed.consume(Bytes(20 * kKib, 0));
  const Bytes ping = ping_frame("half of it");
  fed.consume(Bytes(ping.begin(), ping.begin() + 11));
  EXPECT_TRUE(fed.reader.direct_space().empty());
  EXPECT_EQ(fed.reader.remaining_frame_bytes(), 0U);

  Fed chunked;
  chunked.reader.set_chunk_mode(true);
  chunked.consume(header_of(100 * kKib));
  EXPECT_TRUE(chunked.reader.direct_space().empty());
  EXPECT_EQ(chunked.reader.remaining_frame_bytes(), 100 * kKib);
}

// A thousand clients that announce much and send little must not cost what they announced.
TEST(MessageReaderPieces, TakesMemoryForWhatArrivedNotForWhatWasAnnounced) {
  for (const std::uint64_t announced : {std::uint64_t{16} << 20U, (std::uint64_t{1} << 63U) - 1}) {
    Fed fed;
    fed.rules.max_message_bytes = announced;
    fed.consume(header_of(announced));
    std::size_t arrived = 0;
    while (arrived < (std::size_t{1} << 20U)) {
      const std::size_t room = fed.reader.direct_space().size();
      ASSERT_GE(room, 16 * kKib);
      ASSERT_LE(arrived + room, 16 * arrived + 256 * kKib);
      const std::size_t count = std::min<std::size_t>(room, 10000);
      fed.consume_in_place(std::string(count, 'x'));
      arrived += count;
    }
  }
}

TEST(MessageReaderPieces, ChecksTextAsItArrivesInDirectSpace) {
  Fed fed;
  fed.consume(header_of(100 * kKib, true, Opcode::kText));
  const Bytes masked = make_frame({.payload = "good \xE2\x82"});
  EXPECT_EQ(fed.consume_in_place(to_text(std::span(masked).subspan(6))), ProtocolError::kNone);
  const std::uint8_t key_byte = 0x3D;  // of the payload's byte number 7
  EXPECT_EQ(fed.consume_in_place(std::string{static_cast<char>('X' ^ key_byte)}), ProtocolError::kInvalidUtf8);
}

Bytes part_of(const Bytes& bytes, std::size_t begin, std::size_t end) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.begin() + static_cast<std::ptrdiff_t>(end)};
}

// With a pool that has one spare.
struct PooledFed : Fed {
  PooledFed() {
    PartialMessagePool::take(&pool);
    rules.partial_messages = &pool;
  }
  ~PooledFed() { reader.drop_gathered(); }

  PartialMessagePool pool;
};

TEST(MessageReaderPieces, TakesNothingOfThePoolForWholeMessages) {
  for (const bool chunk_mode : {false, true}) {
    PooledFed fed;
    fed.reader.set_chunk_mode(chunk_mode);
    fed.recorder.during_call = [&] { EXPECT_EQ(fed.pool.spare_count(), 1U); };
    fed.consume(joined({text_frame("short"), binary_frame(std::string(1000, 'x')), text_frame(""), ping_frame("p"),
                        binary_frame(std::string(100000, 'x')), text_frame(std::string(200, 'x'))}));
    EXPECT_EQ(fed.events().size(), 6U);
    EXPECT_EQ(fed.pool.spare_count(), 1U);
  }
}

// During an event a reader may still have what the event lies in.
TEST(MessageReaderPieces, GivesBackToThePoolWhatIsComplete) {
  for (const bool chunk_mode : {false, true}) {
    for (const Bytes& input :
         {text_frame("text"), ping_frame("ping"), binary_frame(std::string(1000, 'x')),
          joined({text_frame("a", false), ping_frame("p"), continuation_frame("b", true), ping_frame("p")})}) {
      for (std::size_t cut = 1; cut < input.size(); ++cut) {
        PooledFed fed;
        fed.reader.set_chunk_mode(chunk_mode);
        const std::size_t last_ping = input.size() - 7;
        fed.consume(part_of(input, 0, cut));
        const bool is_between = fed.events().size() == 2 && cut == last_ping;
        EXPECT_EQ(fed.pool.spare_count(), is_between ? 1U : 0U) << cut;
        fed.consume(part_of(input, cut, input.size()));
        EXPECT_EQ(fed.pool.spare_count(), 1U) << cut;
        EXPECT_EQ(fed.reader.gathered_bytes(), 0U);
      }
    }
  }
}

TEST(MessageReaderPieces, GivesBackToThePoolWhatIsDropped) {
  for (const std::size_t bytes : {1U, 3U, 10U}) {
    PooledFed fed;
    fed.consume(part_of(binary_frame("0123456789"), 0, bytes));
    EXPECT_EQ(fed.pool.spare_count(), 0U);
    EXPECT_EQ(fed.reader.gathered_bytes(), bytes > 6 ? bytes - 6 : 0);
    fed.reader.drop_gathered();
    EXPECT_EQ(fed.pool.spare_count(), 1U);
    EXPECT_EQ(fed.reader.gathered_bytes(), 0U);
  }
  PartialMessagePool pool;
  {
    Fed fed;
    fed.rules.partial_messages = &pool;
    fed.consume(header_of(10));
  }
  EXPECT_EQ(pool.spare_count(), 1U) << "by the destructor";
}

TEST(MessageReaderPieces, GathersInTheSamePlaceAgain) {
  PooledFed fed;
  const Bytes input = binary_frame(std::string(PartialMessage::kTrustedBytes, 'x'));
  for (const std::size_t cut : {10U, 5000U, 16000U}) {
    fed.consume(part_of(input, 0, cut));
    fed.consume(part_of(input, cut, input.size()));
  }
  const std::vector<const std::uint8_t*>& places = fed.recorder.places;
  EXPECT_EQ(places, std::vector(3, places.front()));
}

#if defined(__SANITIZE_ADDRESS__)  // only AddressSanitizer counts the memory in use exactly

extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // NOLINT(bugprone-reserved-identifier)

std::size_t allocated_bytes() { return __sanitizer_get_current_allocated_bytes(); }

// Asks for the memory in use during and behind each message.
class MemoryWatcher : public MessageSink {
 public:
  bool on_messages(MessageBatch& messages) override {
    MessageBatch::Message message;
    while (messages.next(message)) watch();
    return true;
  }
  bool on_chunk(MessageType /*type*/, std::span<const std::uint8_t> /*piece*/, bool /*is_last*/) override {
    return watch();
  }
  bool on_ping(std::span<const std::uint8_t> /*payload*/) override { return watch(); }
  bool on_pong(std::span<const std::uint8_t> /*payload*/) override { return watch(); }
  void on_close_frame(CloseCode /*code*/, std::span<const std::uint8_t> /*reason*/) override { watch(); }

  std::size_t most = 0;
  std::size_t calls = 0;

 private:
  bool watch() {
    most = std::max(most, allocated_bytes());
    ++calls;
    return true;
  }
};

TEST(MessageReaderPieces, KeepsNoMemoryBehindAMessageAndTakesNoneForWholeFrames) {
  struct Case {
    Bytes input;
    bool chunk_mode;
    bool by_byte;
    bool takes_memory;
  };
  const Case cases[] = {
      {joined({text_frame("a"), binary_frame(std::string(1000, 'x')), ping_frame("p"), text_frame("b")}), false, false,
       false},
      {joined({text_frame("abc", false), continuation_frame("def", false), continuation_frame("ghi", true)}), true,
       true, true},
      {binary_frame(std::string(100000, 'x')), false, true, true},
      {joined({binary_frame(std::string(1000, 'x'), false), ping_frame("p"), continuation_frame("y", true)}), false,
       true, true},
      {ping_frame(std::string(125, 'x')), false, true, true},
  };
  for (const Case& each : cases) {
    MessageReader reader;
    reader.set_chunk_mode(each.chunk_mode);
    MemoryWatcher watcher;
    Bytes input = each.input;
    std::span<std::uint8_t> rest(input);
    const std::size_t before = allocated_bytes();
    while (!rest.empty()) {
      std::span<std::uint8_t> piece = rest.first(each.by_byte ? 1 : rest.size());
      rest = rest.subspan(piece.size());
      ASSERT_EQ(reader.consume(piece, {}, watcher), ProtocolError::kNone);
    }
    EXPECT_GT(watcher.calls, 0U);
    EXPECT_EQ(allocated_bytes(), before);
    if (!each.takes_memory) {
      EXPECT_EQ(watcher.most, before);
    }
  }
}

extern "C" int __sanitizer_install_malloc_and_free_hooks(  // NOLINT(bugprone-reserved-identifier)
    void (*on_malloc)(const volatile void*, std::size_t), void (*on_free)(const volatile void*));

std::size_t allocations = 0;

TEST(MessageReaderPieces, AllocatesNothingForMessagesInPiecesOnceThePoolIsWarm) {
  static const int installed = __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, std::size_t) { ++allocations; }, [](const volatile void*) {});
  ASSERT_GT(installed, 0);
  for (const bool chunk_mode : {false, true}) {
    PartialMessagePool pool;
    const ReceiveRules rules = {.partial_messages = &pool};
    MessageReader reader;
    reader.set_chunk_mode(chunk_mode);
    MemoryWatcher watcher;
    const Bytes input =
        joined({text_frame("text"), ping_frame("ping"), text_frame("frag", false), ping_frame("between"),
                continuation_frame("ment", true), binary_frame(std::string(16 * kKib, 'x'))});
    std::vector<Bytes> copies(400, input);
    for (std::size_t cut = 0; cut < copies.size(); ++cut) {
      const std::size_t before = allocations;
      std::span<std::uint8_t> second(copies[cut]);
      const std::size_t first_bytes = cut * input.size() / copies.size();
      std::span<std::uint8_t> first = second.first(cut < 100 ? cut : first_bytes);
      second = second.subspan(first.size());
      ASSERT_EQ(reader.consume(first, rules, watcher), ProtocolError::kNone);
      ASSERT_EQ(reader.consume(second, rules, watcher), ProtocolError::kNone);
      if (cut > 100) {
        EXPECT_EQ(allocations, before) << cut;
      }
    }
    EXPECT_GT(allocations, 0U);
  }
}

TEST(MessageReaderPieces, AllocatesNoMoreThanTheMessageNeeds) {
  MessageReader reader;
  MemoryWatcher watcher;
  Bytes input = binary_frame(std::string(100001, 'x'));
  std::span<std::uint8_t> rest(input);
  const std::size_t before = allocated_bytes();
  for (const std::size_t count : {60000U, 30000U}) {
    std::span<std::uint8_t> piece = rest.first(count);
    rest = rest.subspan(count);
    reader.consume(piece, {}, watcher);
  }
  EXPECT_LE(reader.direct_space().size(), rest.size()) << "never past the end of the frame";
  reader.consume(rest, {}, watcher);
  EXPECT_EQ(watcher.calls, 1U);
  EXPECT_LE(watcher.most, before + 100001 + 1000);
}

#endif

TEST(MessageReaderPieces, DeliversChunksAsTheyArrive) {
  Fed fed;
  fed.reader.set_chunk_mode(true);
  const Bytes input = joined({binary_frame("", false), continuation_frame(std::string(100, 'x'), false),
                              ping_frame("p"), continuation_frame("", true), binary_frame("whole")});
  fed.consume(Bytes(input.begin(), input.begin() + 42));  // to 30 bytes of the payload
  EXPECT_EQ(fed.recorder.piece_sizes, (std::vector<std::size_t>{30}));
  EXPECT_EQ(fed.reader.remaining_frame_bytes(), 70U);
  fed.consume(Bytes(input.begin() + 42, input.end()));
  EXPECT_EQ(fed.recorder.piece_sizes, (std::vector<std::size_t>{30, 70, 0, 5}));
  EXPECT_EQ(fed.events(), (std::vector<std::string>{"ping:p", "binary:" + std::string(100, 'x'), "binary:whole"}));
}

TEST(MessageReaderPieces, TellsDuringAChunkHowMuchOfTheFrameIsToCome) {
  Fed fed;
  fed.reader.set_chunk_mode(true);
  std::vector<std::uint64_t> remaining;
  fed.recorder.during_call = [&] { remaining.push_back(fed.reader.remaining_frame_bytes()); };
  const Bytes input = binary_frame("0123456789");
  fed.consume(Bytes(input.begin(), input.begin() + 10));
  fed.consume(Bytes(input.begin() + 10, input.end()));
  EXPECT_EQ(remaining, (std::vector<std::uint64_t>{6, 0}));
}

TEST(MessageReaderPieces, HasNothingRemainingWhileItDeliversAWholeMessage) {
  for (const std::size_t cut : {0U, 3U, 10U}) {
    Fed fed;
    fed.recorder.during_call = [&] { EXPECT_EQ(fed.reader.remaining_frame_bytes(), 0U); };
    const Bytes input = joined({text_frame("Hello"), ping_frame("p")});
    fed.consume(Bytes(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(cut)));
    fed.consume(Bytes(input.begin() + static_cast<std::ptrdiff_t>(cut), input.end()));
    EXPECT_EQ(fed.events().size(), 2U);
  }
}

TEST(MessageReaderPieces, SwitchesToChunksFromWithinAnEvent) {
  Fed fed;
  fed.recorder.during_call = [&] { fed.reader.set_chunk_mode(true); };
  fed.consume(
      joined({text_frame("whole"), text_frame("chunk"), text_frame("more", false), continuation_frame("!", true)}));
  EXPECT_EQ(fed.recorder.places.size(), 1U);
  EXPECT_EQ(fed.recorder.piece_sizes, (std::vector<std::size_t>{5, 4, 1}));
}

TEST(MessageReaderPieces, FinishesAMessageInTheModeThatItBeganIn) {
  Fed fed;
  fed.consume(joined({text_frame("gathered, ", false), ping_frame("")}));
  fed.reader.set_chunk_mode(true);
  fed.consume(joined({continuation_frame("still", true), text_frame("chunks, ", false)}));
  fed.reader.set_chunk_mode(false);
  fed.consume(joined({continuation_frame("still", true), text_frame("whole")}));
  EXPECT_EQ(fed.events(),
            (std::vector<std::string>{"ping:", "text:gathered, still", "text:chunks, still", "text:whole"}));
  EXPECT_EQ(fed.recorder.places.size(), 2U);
  EXPECT_EQ(fed.recorder.piece_sizes, (std::vector<std::size_t>{8, 5}));
}

TEST(MessageReaderPieces, StopsBehindAnEventAndGoesOnLater) {
  Fed fed;
  fed.recorder.go_on = false;
  EXPECT_EQ(fed.consume(joined({text_frame("a"), text_frame("bc"), ping_frame("d")})), ProtocolError::kNone);
  EXPECT_EQ(fed.left, 8U + 7U);
  EXPECT_EQ(fed.consume(joined({text_frame("bc"), ping_frame("d")})), ProtocolError::kNone);
  EXPECT_EQ(fed.left, 7U);
  fed.recorder.go_on = true;
  EXPECT_EQ(fed.consume(ping_frame("d")), ProtocolError::kNone);
  EXPECT_EQ(fed.left, 0U);
  EXPECT_EQ(fed.events(), (std::vector<std::string>{"text:a", "text:bc", "ping:d"}));
}

TEST(MessageReaderPieces, StopsBehindACloseFrame) {
  Fed fed;
  EXPECT_EQ(fed.consume(joined({close_frame(""), text_frame("a")})), ProtocolError::kNone);
  EXPECT_EQ(fed.left, 7U);
  EXPECT_EQ(fed.events(), (std::vector<std::string>{"close 1005:"}));
}

}  // namespace
}  // namespace websockets
