// SPDX-License-Identifier: MIT
#include "base/output_queue.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <deque>
#include <memory>
#include <random>
#include <string>

#include "base/bytes.h"
#include "websocket/prepared_message.h"

namespace websockets {
namespace {

class Keeper : public PayloadOwner {
 public:
  void release_payload(int) override { ++released; }
  int released = 0;
};

class OutputQueueTest : public ::testing::Test {
 protected:
  ~OutputQueueTest() override {
    queue_.clear(pool_);
    EXPECT_EQ(budget_.used(), 0U);
    EXPECT_EQ(keeper_.released, kept_);
  }

  // Of different bytes, so that their order shows.
  std::span<const std::uint8_t> bytes(std::size_t count) {
    std::string& text = texts_.emplace_back(count, '\0');
    for (char& one : text) one = static_cast<char>(next_++ % 251);
    return as_bytes(text);
  }

  SharedFrame frame(std::size_t payload_bytes) {
    return PreparedMessage(budget_, Opcode::kBinary, bytes(payload_bytes)).frame_for(nullptr).bytes;
  }

  void append(std::size_t count) {
    expect(bytes(count), [&](auto data) { queue_.append(pool_, data); });
  }

  void extend(std::size_t count) {
    expect(bytes(count), [&](auto data) { std::copy(data.begin(), data.end(), queue_.extend(pool_, data.size())); });
  }

  void append_frame(std::size_t count) {
    const SharedFrame made = frame(count);
    expect(*made, [&](auto) { queue_.append_frame(pool_, made); });
  }

  void append_pinned(std::size_t count) {
    ++kept_;
    expect(bytes(count), [&](auto data) { queue_.append_pinned(pool_, data, PinnedPayload(keeper_, kept_)); });
  }

  void append_held(std::size_t count) {
    OutputQueue other;
    const SharedFrame one = frame(1);
    const SharedFrame made = frame(count);
    other.append_frame(pool_, one);
    other.append_frame(pool_, made);
    expected_ += as_text(*one);
    expect(*made, [&](auto) { queue_.append_all(pool_, other); });
    EXPECT_TRUE(other.empty());
    EXPECT_EQ(other.bytes(), 0U);
  }

  template <typename Function>
  void expect(std::span<const std::uint8_t> data, Function append_it) {
    expected_ += as_text(data);
    append_it(data);
  }

  // `sent_bytes`: of what is still held because the rest of it waits.
  void expect_little_memory(std::size_t sent_bytes = 0) {
    ASSERT_EQ(queue_.bytes(), expected_.size());
    ASSERT_EQ(queue_.held_bytes(), budget_.used());
    ASSERT_LE(queue_.held_bytes(), 2 * (queue_.bytes() + sent_bytes) + 8192);
  }

  // Sends so many bytes, and compares what arrives.
  void send(std::size_t count) {
    while (count > 0) {
      const std::size_t most = std::min<std::size_t>(count, 32768);
      std::string sent;
      if (queue_.begins_with_file()) {
        const OutputQueue::FileRange range = queue_.front_file();
        sent.resize(std::min<std::size_t>(most, static_cast<std::size_t>(range.bytes)));
        ASSERT_EQ(::pread(range.file, sent.data(), sent.size(), range.offset), static_cast<ssize_t>(sent.size()));
      }
      std::array<iovec, 64> parts;
      for (const iovec& part : std::span(parts).first(queue_.gather(parts, most))) {
        sent.append(static_cast<const char*>(part.iov_base), part.iov_len);
      }
      ASSERT_FALSE(sent.empty());
      queue_.consume(pool_, sent.size());
      ASSERT_EQ(sent, expected_.substr(0, sent.size()));
      expected_.erase(0, sent.size());
      count -= sent.size();
    }
  }

  using Kind = void (OutputQueueTest::*)(std::size_t);
  static constexpr std::array<Kind, 5> kKinds = {&OutputQueueTest::append, &OutputQueueTest::extend,
                                                 &OutputQueueTest::append_frame, &OutputQueueTest::append_pinned,
                                                 &OutputQueueTest::append_held};
  // Around what pieces, blocks and what is copied may be.
  static constexpr std::array<std::size_t, 15> kSizes = {1,   2,    100,  167,  168,  169,  423,  509,
                                                         512, 1034, 1700, 4008, 4096, 9000, 16400};

  MemoryBudget budget_{0};
  OutputPool pool_{budget_};
  OutputQueue queue_;
  Keeper keeper_;
  int kept_ = 0;
  unsigned next_ = 0;
  std::string expected_;
  std::deque<std::string> texts_;
};

TEST_F(OutputQueueTest, TakesLittleMemoryWhateverAlternates) {
  for (const Kind first : kKinds) {
    for (const Kind second : kKinds) {
      for (const std::size_t size : kSizes) {
        for (const std::size_t other : {std::size_t{1}, std::size_t{513}, size}) {
          for (int turn = 0; turn < 40; ++turn) {
            (this->*first)(size);
            expect_little_memory();
            (this->*second)(other);
            expect_little_memory();
          }
          queue_.clear(pool_);
          expected_.clear();
          texts_.clear();
          ASSERT_EQ(budget_.used(), 0U);
        }
      }
    }
  }
}

TEST_F(OutputQueueTest, SendsInOrderWhateverComes) {
  std::mt19937 random(1);
  const auto below = [&](std::size_t limit) { return random() % limit; };
  for (int turn = 0; turn < 5000; ++turn) {
    (this->*kKinds[below(kKinds.size())])(kSizes[below(kSizes.size())]);
    expect_little_memory(16'500);
    if (below(3) == 0) send(below(queue_.bytes() + 1));
    if (below(200) == 0) send(queue_.bytes());
  }
  send(queue_.bytes());
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(budget_.used(), 0U);
}

TEST_F(OutputQueueTest, OfOneByteTakesLittle) {
  append(1);
  EXPECT_LE(queue_.held_bytes(), 256U);
}

TEST_F(OutputQueueTest, CopiesAShortFrameAndKeepsALongOne) {
  const SharedFrame little = frame(100);
  const SharedFrame large = frame(10'000);
  queue_.append_frame(pool_, little);
  queue_.append_frame(pool_, large);
  EXPECT_EQ(little.use_count(), 1);
  EXPECT_EQ(large.use_count(), 2);
}

TEST_F(OutputQueueTest, HoldsAPartOfWhatSeveralShare) {
  std::array<OutputQueue, 4> queues;
  {
    const SharedFrame shared = frame(1'000'000);
    for (OutputQueue& one : queues) one.append_frame(pool_, shared);
  }
  std::size_t held = 0;
  for (const OutputQueue& one : queues) held += one.held_bytes();
  EXPECT_NEAR(static_cast<double>(held), static_cast<double>(budget_.used()), 4);
  EXPECT_LE(queues[0].held_bytes(), 251'000U);
  for (std::size_t i = 1; i < queues.size(); ++i) queues[i].clear(pool_);
  EXPECT_GE(queues[0].held_bytes(), 1'000'000U);
  EXPECT_EQ(queues[0].held_bytes(), budget_.used());
  queues[0].clear(pool_);
}

TEST_F(OutputQueueTest, PartsOfAFileTakeLittleAndAreSentInOrder) {
  std::FILE* const file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const std::string content = "0123456789";
  ASSERT_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
  ASSERT_EQ(std::fflush(file), 0);
  const auto shared = std::make_shared<const UniqueFd>(::dup(::fileno(file)));
  std::fclose(file);
  std::size_t sent = 0;
  for (std::size_t first = 0; first < content.size(); ++first) {
    append(30);
    queue_.append_file(pool_, shared, first, content.size() - first);
    expected_ += content.substr(first);
    sent += 30 + content.size() - first;
  }
  EXPECT_EQ(queue_.bytes(), 300U);
  EXPECT_TRUE(queue_.has_file());
  EXPECT_LE(queue_.held_bytes(), 10U * (30 + 2 * 80) + 2048);
  EXPECT_EQ(queue_.held_bytes(), budget_.used());
  send(sent);
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(shared.use_count(), 1);
}

}  // namespace
}  // namespace websockets
