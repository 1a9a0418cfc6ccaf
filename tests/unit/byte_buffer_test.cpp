// SPDX-License-Identifier: MIT
#include "base/byte_buffer.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <new>
#include <random>

#include "protocol_support.h"

namespace websockets {
namespace {

using protocol_support::Bytes;
using protocol_support::to_bytes;
using protocol_support::to_text;

TEST(ByteBuffer, TakesNoMemoryBeforeItIsUsed) {
  ByteBuffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.capacity(), 0U);
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_TRUE(buffer.bytes().empty());
  buffer.append({});
  buffer.consume(0);
  buffer.clear();
  buffer.release();
  EXPECT_EQ(buffer.capacity(), 0U);
}

TEST(ByteBuffer, AppendsAndConsumes) {
  ByteBuffer buffer;
  buffer.append(to_bytes("one, "));
  buffer.append(to_bytes("two"));
  EXPECT_EQ(to_text(buffer.bytes()), "one, two");
  buffer.consume(5);
  EXPECT_EQ(to_text(buffer.bytes()), "two");
  buffer.consume(0);
  EXPECT_EQ(to_text(buffer.bytes()), "two");
  buffer.consume(3);
  EXPECT_TRUE(buffer.empty());
}

TEST(ByteBuffer, TruncatesAtTheEnd) {
  ByteBuffer buffer;
  buffer.append(to_bytes("message, ping"));
  buffer.truncate(7);
  EXPECT_EQ(to_text(buffer.bytes()), "message");
  buffer.truncate(7);
  EXPECT_EQ(to_text(buffer.bytes()), "message");
}

TEST(ByteBuffer, PreparesAllTheRoomThereIs) {
  ByteBuffer buffer;
  buffer.append(to_bytes("abc"));
  const std::span<std::uint8_t> room = buffer.prepare(1000);
  ASSERT_GE(room.size(), 1000U);
  EXPECT_EQ(room.size(), buffer.capacity() - 3);
  std::fill(room.begin(), room.end(), std::uint8_t{'x'});
  EXPECT_EQ(buffer.size(), 3U);
  buffer.commit(2);
  EXPECT_EQ(to_text(buffer.bytes()), "abcxx");
  EXPECT_EQ(buffer.prepare(0).data(), buffer.data() + 5);
}

TEST(ByteBuffer, ReservesExactlyAndNeverLess) {
  ByteBuffer buffer;
  buffer.append(to_bytes("abc"));
  buffer.reserve(1000);
  EXPECT_EQ(buffer.capacity(), 1000U);
  buffer.reserve(10);
  EXPECT_EQ(buffer.capacity(), 1000U);
  EXPECT_EQ(to_text(buffer.bytes()), "abc");
}

TEST(ByteBuffer, KeepsItsMemoryWhenClearedAndGivesItBackWhenReleased) {
  ByteBuffer buffer;
  buffer.append(Bytes(100, 1));
  const std::size_t capacity = buffer.capacity();
  buffer.clear();
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.capacity(), capacity);
  buffer.release();
  EXPECT_EQ(buffer.capacity(), 0U);
  buffer.append(to_bytes("again"));
  EXPECT_EQ(to_text(buffer.bytes()), "again");
}

TEST(ByteBuffer, GrowsSeldomWhenBytesComeOneByOne) {
  ByteBuffer buffer;
  std::size_t growths = 0;
  for (int index = 0; index < 100000; ++index) {
    const std::size_t before = buffer.capacity();
    buffer.append(std::array<std::uint8_t, 1>{7});
    growths += buffer.capacity() != before ? 1 : 0;
  }
  EXPECT_LE(growths, 20U);
  EXPECT_LE(buffer.capacity(), 200000U);
}

TEST(ByteBuffer, Moves) {
  ByteBuffer first;
  first.append(to_bytes("contents"));
  ByteBuffer second(std::move(first));
  EXPECT_EQ(to_text(second.bytes()), "contents");
  EXPECT_EQ(first.capacity(), 0U);  // NOLINT(*-use-after-move, *.Move): it is empty then
  ByteBuffer third;
  third.append(to_bytes("to be given back"));
  third = std::move(second);
  EXPECT_EQ(to_text(third.bytes()), "contents");
  EXPECT_TRUE(second.empty());  // NOLINT(*-use-after-move, *.Move)
  ByteBuffer& same = third;
  third = std::move(same);
  EXPECT_EQ(to_text(third.bytes()), "contents");
}

TEST(ByteBuffer, ThrowsWhereTheSizeWouldOverflow) {
  ByteBuffer buffer;
  buffer.append(to_bytes("abc"));
  EXPECT_THROW(buffer.prepare(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
  EXPECT_THROW(buffer.prepare(std::numeric_limits<std::size_t>::max() - 3), std::bad_alloc);
  EXPECT_EQ(to_text(buffer.bytes()), "abc");
}

TEST(ByteBuffer, HoldsWhatAStringWouldAfterManySteps) {
  std::mt19937 random(1);
  ByteBuffer buffer;
  std::string expected;
  for (int step = 0; step < 5000; ++step) {
    if (random() % 2 == 0) {
      const std::string text(random() % 300, static_cast<char>('a' + random() % 26));
      buffer.append(to_bytes(text));
      expected += text;
    } else {
      const std::size_t count = random() % (expected.size() + 1);
      buffer.consume(count);
      expected.erase(0, count);
    }
    ASSERT_EQ(to_text(buffer.bytes()), expected);
  }
}

}  // namespace
}  // namespace websockets
