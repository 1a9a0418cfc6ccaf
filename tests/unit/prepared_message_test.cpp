// SPDX-License-Identifier: MIT
#include "websocket/prepared_message.h"

#include <gtest/gtest.h>

#include <string>

#include "base/bytes.h"
#include "base/memory_budget.h"

namespace websockets {
namespace {

class PreparedMessageTest : public testing::Test {
 protected:
  MemoryBudget memory{0};
  CompressionPool pool{{.wanted = {}, .level = 6, .min_bytes = 100}};
  const std::string text = std::string(1000, 'x');
};

TEST_F(PreparedMessageTest, IsMadeOnceForAll) {
  PreparedMessage message(memory, Opcode::kText, as_bytes("hello"));
  EXPECT_FALSE(message.was_made());
  EXPECT_EQ(memory.used(), 0U);
  const SharedFrame first = message.frame_for(nullptr).bytes;
  EXPECT_TRUE(message.was_made());
  EXPECT_EQ(as_text(*first), "\x81\x05hello");
  EXPECT_EQ(message.frame_for(nullptr).bytes, first);
  EXPECT_FALSE(message.frame_for(nullptr).is_compressed);
  EXPECT_EQ(as_text(message.payload()), "hello");
}

TEST_F(PreparedMessageTest, IsCountedAsLongAsSomebodyKeepsIt) {
  SharedFrame kept;
  {
    PreparedMessage message(memory, Opcode::kBinary, as_bytes(text));
    kept = message.frame_for(nullptr).bytes;
    const std::size_t once = memory.used();
    EXPECT_GE(once, 1000U);
    const SharedFrame again = message.frame_for(nullptr).bytes;
    EXPECT_EQ(memory.used(), once);
  }
  EXPECT_GE(memory.used(), 1000U);
  kept.reset();
  EXPECT_EQ(memory.used(), 0U);
}

TEST_F(PreparedMessageTest, IsCompressedOnceForEachWindow) {
  MessageCompression small(pool, {.server_max_window_bits = 9});
  MessageCompression also_small(pool, {.server_max_window_bits = 9});
  MessageCompression large(pool, {.server_max_window_bits = 15});
  PreparedMessage message(memory, Opcode::kText, as_bytes(text));
  const PreparedMessage::Frame first = message.frame_for(&small);
  EXPECT_TRUE(first.is_compressed);
  EXPECT_EQ(first.bytes->front(), 0xC1U) << "FIN, RSV1, text";
  EXPECT_LT(first.bytes->size(), 100U);
  EXPECT_EQ(message.frame_for(&also_small).bytes, first.bytes);
  EXPECT_NE(message.frame_for(&large).bytes, first.bytes);
  EXPECT_GT(message.frame_for(nullptr).bytes->size(), 1000U);
}

TEST_F(PreparedMessageTest, WhatIsNotWorthCompressingIsSentAsItIs) {
  MessageCompression compression(pool, {});
  PreparedMessage message(memory, Opcode::kText, as_bytes("short"));
  EXPECT_FALSE(message.frame_for(&compression).is_compressed);
  EXPECT_EQ(message.frame_for(&compression).bytes, message.frame_for(nullptr).bytes);
}

}  // namespace
}  // namespace websockets
