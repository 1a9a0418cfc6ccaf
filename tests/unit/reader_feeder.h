// SPDX-License-Identifier: MIT
// Feeds a reader in every kind of pieces, and compares what comes out with the reference.
#pragma once

#include <functional>

#include "protocol_reference.h"

namespace websockets::protocol_support {

// Writes events down as Reference does; the pieces of a message in chunks are put together again.
class Recorder : public MessageSink {
 public:
  Outcome outcome;
  std::vector<const std::uint8_t*> places;  // where each whole message's payload began
  std::vector<std::size_t> piece_sizes;     // of on_chunk
  std::size_t calls = 0;
  bool go_on = true;  // what each call returns
  std::function<void()> during_call = [] {};

  bool on_messages(MessageBatch& messages) override {
    EXPECT_TRUE(chunks_.empty());
    MessageBatch::Message message;
    bool goes_on = true;
    while (goes_on && messages.next(message)) {
      places.push_back(message.payload.data());
      goes_on = report((message.type == MessageType::kText ? "text:" : "binary:") + to_text(message.payload));
    }
    return goes_on;
  }
  bool on_chunk(MessageType type, std::span<const std::uint8_t> piece, bool is_last) override {
    EXPECT_TRUE(is_last || !piece.empty());
    piece_sizes.push_back(piece.size());
    chunks_ += to_text(piece);
    if (is_last) {
      return report((type == MessageType::kText ? "text:" : "binary:") + std::exchange(chunks_, {}));
    }
    return answer();
  }
  bool on_ping(std::span<const std::uint8_t> payload) override { return report("ping:" + to_text(payload)); }
  bool on_pong(std::span<const std::uint8_t> payload) override { return report("pong:" + to_text(payload)); }
  void on_close_frame(CloseCode code, std::span<const std::uint8_t> reason) override {
    closed_ = true;
    report("close " + std::to_string(static_cast<int>(code)) + ":" + to_text(reason));
  }

  bool closed() const { return closed_; }
  bool finished() const { return closed_ || outcome.error != ProtocolError::kNone; }

 private:
  bool report(std::string event) {
    outcome.events.push_back(std::move(event));
    return answer();
  }
  bool answer() {
    ++calls;
    during_call();
    return go_on;
  }

  std::string chunks_;
  bool closed_ = false;
};

struct FeedOptions {
  bool chunk_mode = false;
  bool stop_at_each_event = false;
  bool direct = false;  // use direct_space() where it is offered
};

// One reader and what it is fed.
class Feeder {
 public:
  Feeder(const Reference& reference, const ReceiveRules& rules, const FeedOptions& options)
      : reference_(reference), rules_(rules), options_(options) {
    // These readers take, of all that were there before, what those have left behind.
    static PartialMessagePool pool;
    if (options.stop_at_each_event) rules_.partial_messages = &pool;
    reader_.set_chunk_mode(options.chunk_mode);
    recorder_.go_on = !options.stop_at_each_event;
  }

  // The piece is copied to memory of just its size, which is gone afterwards: an access outside is found by ASan.
  void feed(std::span<const std::uint8_t> bytes) {
    while (options_.direct && !bytes.empty() && !recorder_.finished()) {
      const std::span<std::uint8_t> space = reader_.direct_space();
      if (space.empty()) {
        break;
      }
      const std::size_t count = std::min(space.size(), bytes.size());
      std::copy_n(bytes.begin(), count, space.begin());
      fed_ += count;
      Budget budget;
      recorder_.outcome.error = reader_.consume_in_place(count, rules_, recorder_, budget);
      bytes = bytes.subspan(count);
    }
    Bytes copy(bytes.begin(), bytes.end());
    std::span<std::uint8_t> input(copy);
    while (!input.empty() && !recorder_.finished()) {
      consume(input);
    }
  }

  const Recorder& recorder() const { return recorder_; }

 private:
  // Fewer never spend the budget of one call.
  static constexpr std::size_t kAffordableBytes = 1000;

  void consume(std::span<std::uint8_t>& input) {
    const std::size_t events_before = recorder_.outcome.events.size();
    const std::size_t calls_before = recorder_.calls;
    const std::size_t left_before = input.size();
    recorder_.outcome.error = reader_.consume(input, rules_, recorder_);
    fed_ += left_before - input.size();
    const std::size_t events = recorder_.outcome.events.size();
    const bool stopped = options_.stop_at_each_event || recorder_.closed();
    if (recorder_.outcome.error == ProtocolError::kNone && stopped && events != events_before) {
      EXPECT_EQ(fed_, reference_.event_ends()[events - 1]) << "stopped elsewhere than behind the event";
    }
    if (options_.stop_at_each_event) {
      EXPECT_LE(recorder_.calls, calls_before + 1) << "went on after a false";
    } else if (!recorder_.finished()) {
      EXPECT_TRUE(input.empty() || left_before - input.size() >= kAffordableBytes)
          << "stopped before the budget was spent";
    }
  }

  const Reference& reference_;
  ReceiveRules rules_;
  FeedOptions options_;
  MessageReader reader_;
  Recorder recorder_;
  std::size_t fed_ = 0;
};

constexpr FeedOptions kAllOptions[] = {
    {},
    {.stop_at_each_event = true},
    {.chunk_mode = true},
    {.chunk_mode = true, .stop_at_each_event = true},
    {.direct = true},
    {.stop_at_each_event = true, .direct = true},
};

// Feeds `input`, cut at the positions `cuts` (ascending), and compares.
inline void expect_same(const Bytes& input, const std::vector<std::size_t>& cuts, const Reference& reference,
                        const ReceiveRules& rules, const FeedOptions& options) {
  Feeder feeder(reference, rules, options);
  std::size_t begin = 0;
  for (const std::size_t end : cuts) {
    feeder.feed(std::span(input).subspan(begin, end - begin));
    begin = end;
  }
  feeder.feed(std::span(input).subspan(begin));
  ASSERT_EQ(feeder.recorder().outcome, reference.outcome())
      << "cut at " << ::testing::PrintToString(cuts) << ", chunk mode " << options.chunk_mode << ", stopping "
      << options.stop_at_each_event << ", direct " << options.direct;
}

// An error must be found at the first byte from which on the reference sees it, whatever follows.
inline void expect_early(const Bytes& input, const Reference& reference, const ReceiveRules& rules) {
  for (const FeedOptions& options : kAllOptions) {
    Feeder feeder(reference, rules, options);
    for (std::size_t end = 1; end <= input.size() && !feeder.recorder().finished(); ++end) {
      feeder.feed(std::span(input).subspan(end - 1, 1));
      const Reference so_far(Bytes(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(end)), rules);
      ASSERT_EQ(feeder.recorder().outcome, so_far.outcome()) << "after byte " << end;
    }
  }
}

inline std::vector<std::size_t> random_cuts(std::mt19937& random, std::size_t input_bytes, std::size_t count) {
  std::vector<std::size_t> cuts(count);
  std::generate(cuts.begin(), cuts.end(), [&] { return random() % (input_bytes + 1); });
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

// Whole, at every two-way split, byte by byte, and at some random splits into three and more.
inline void expect_same_everywhere(const Bytes& input, const ReceiveRules& rules = {}) {
  const Reference reference(input, rules);
  std::mt19937 random(static_cast<unsigned>(input.size()));
  for (const FeedOptions& options : kAllOptions) {
    for (std::size_t cut = 0; cut <= input.size(); ++cut) {
      ASSERT_NO_FATAL_FAILURE(expect_same(input, {cut}, reference, rules, options));
    }
    std::vector<std::size_t> every_byte(input.size());
    for (std::size_t index = 0; index < input.size(); ++index) {
      every_byte[index] = index;
    }
    ASSERT_NO_FATAL_FAILURE(expect_same(input, every_byte, reference, rules, options));
    for (unsigned round = 0; round < 50; ++round) {
      const std::vector<std::size_t> cuts = random_cuts(random, input.size(), 2 + round % 3);
      ASSERT_NO_FATAL_FAILURE(expect_same(input, cuts, reference, rules, options));
    }
  }
  if (input.size() <= 400) {
    expect_early(input, reference, rules);
  }
}

}  // namespace websockets::protocol_support
