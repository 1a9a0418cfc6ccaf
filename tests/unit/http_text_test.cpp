// SPDX-License-Identifier: MIT
#include "base/http_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace websockets::http_text {
namespace {

TEST(HttpText, KnowsAsciiOnly) {
  EXPECT_EQ(to_lower('Z'), 'z');
  EXPECT_EQ(to_lower('['), '[');
  EXPECT_EQ(to_lower('\xC4'), '\xC4');
  EXPECT_TRUE(is_alphanumeric('0') && is_alphanumeric('a') && is_alphanumeric('Z'));
  EXPECT_FALSE(is_alphanumeric('_') || is_alphanumeric('\xE4'));
  EXPECT_TRUE(is_blank(' ') && is_blank('\t'));
  EXPECT_FALSE(is_blank('\n'));
  EXPECT_TRUE(is_control('\n') && is_control('\x7F') && is_control('\0'));
  EXPECT_FALSE(is_control(' ') || is_control('\x80'));
}

TEST(HttpText, ReadsHexadecimalDigits) {
  EXPECT_EQ(hexadecimal_value('0'), 0);
  EXPECT_EQ(hexadecimal_value('a'), 10);
  EXPECT_EQ(hexadecimal_value('F'), 15);
  EXPECT_EQ(hexadecimal_value('g'), -1);
  EXPECT_EQ(hexadecimal_value(' '), -1);
}

// RFC 9110 5.6.2
TEST(HttpText, KnowsTheCharactersOfTokens) {
  std::string tokens;
  for (int c = 0; c < 256; ++c) {
    if (is_token_char(static_cast<char>(c))) tokens += static_cast<char>(c);
  }
  EXPECT_EQ(tokens, "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~");
}

TEST(HttpText, ComparesWithoutCase) {
  EXPECT_TRUE(equals_ignoring_case("Upgrade", "uPGRADE"));
  EXPECT_FALSE(equals_ignoring_case("upgrade", "upgrade "));
  EXPECT_FALSE(equals_ignoring_case("@", "`")) << "no letters";
}

TEST(HttpText, TrimsBlanks) {
  EXPECT_EQ(trimmed(" \t a b\t "), "a b");
  EXPECT_EQ(trimmed(" \t"), "");
  EXPECT_EQ(trimmed("\na"), "\na");
}

// RFC 9110 5.6.1
TEST(HttpText, TakesTheElementsOfAList) {
  std::string_view list = "a , ,b;c=\"d\",";
  std::vector<std::string> elements;
  while (list.data() != nullptr) elements.emplace_back(take_list_element(list));
  EXPECT_EQ(elements, (std::vector<std::string>{"a", "", "b;c=\"d\"", ""}));
}

}  // namespace
}  // namespace websockets::http_text
