// SPDX-License-Identifier: MIT
#include "base/bytes.h"

#include <gtest/gtest.h>

#include <string>

namespace websockets {
namespace {

TEST(Bytes, AreTheSameMemoryBothWays) {
  const std::string text("a\0\xFF", 3);
  const std::span<const std::uint8_t> bytes = as_bytes(text);
  ASSERT_EQ(bytes.size(), 3U);
  EXPECT_EQ(bytes[2], 0xFFU);
  EXPECT_EQ(static_cast<const void*>(bytes.data()), text.data());
  EXPECT_EQ(as_text(bytes), text);
  EXPECT_EQ(static_cast<const void*>(as_text(bytes).data()), text.data());
  EXPECT_TRUE(as_bytes({}).empty());
}

}  // namespace
}  // namespace websockets
