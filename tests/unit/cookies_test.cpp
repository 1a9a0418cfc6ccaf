// SPDX-License-Identifier: MIT
#include "http/cookies.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace websockets {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_of(std::string_view header) {
  Pairs found;
  Cookies cookies(header);
  std::string_view name;
  std::string_view value;
  while (cookies.next(name, value)) found.emplace_back(name, value);
  return found;
}

TEST(CookiesTest, WalksPairs) {
  EXPECT_EQ(pairs_of("SID=31d4d96e407aad42"), Pairs({{"SID", "31d4d96e407aad42"}}));
  EXPECT_EQ(pairs_of("a=1; b=2; a=3"), Pairs({{"a", "1"}, {"b", "2"}, {"a", "3"}}));
}

TEST(CookiesTest, KeepsValuesAsTheyWereSet) {
  EXPECT_EQ(pairs_of("a=x=y; b=\"q\"; c=%20+; d="), Pairs({{"a", "x=y"}, {"b", "\"q\""}, {"c", "%20+"}, {"d", ""}}));
}

TEST(CookiesTest, IsNotConfusedByBlanksAndGarbage) {
  EXPECT_EQ(pairs_of(""), Pairs());
  EXPECT_EQ(pairs_of(";;"), Pairs());
  EXPECT_EQ(pairs_of("word; =value; \t a \t= b c ;;d=1;"), Pairs({{"a", "b c"}, {"d", "1"}}));
  EXPECT_EQ(pairs_of("a=1;b=2"), Pairs({{"a", "1"}, {"b", "2"}}));
}

}  // namespace
}  // namespace websockets
