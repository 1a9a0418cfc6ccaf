// SPDX-License-Identifier: MIT
#include "cluster/redis_names.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace websockets {
namespace {

TEST(RedisNamesTest, HaveThePrefixTheDatabaseAndTheKind) {
  EXPECT_EQ(RedisNames("ws:", 0).name(RedisNames::kTopic, "news"), "ws:0:t:news");
  EXPECT_EQ(RedisNames("a", 12).name(RedisNames::kMeta, ""), "a12:m:");
}

TEST(RedisNamesTest, AreParsedAsTheyWereMade) {
  const RedisNames names("ws:", 3);
  for (const std::string_view of : {std::string_view(), std::string_view("x"), std::string_view("\r\n\0:t:", 6)}) {
    const std::string name = names.name(RedisNames::kBroadcast, of);
    const auto parsed = names.parse(name);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->kind, 'b');
    EXPECT_EQ(parsed->of, of);
  }
}

TEST(RedisNamesTest, AreNoneOfOthers) {
  const RedisNames names("ws:", 3);
  for (const std::string_view name :
       {"", "ws:", "ws:3", "ws:3:", "ws:3:t", "ws:3:tx", "ws:33:t:x", "ws:2:t:x", "wt:3:t:x"}) {
    EXPECT_FALSE(names.parse(name)) << name;
  }
}

}  // namespace
}  // namespace websockets
