// SPDX-License-Identifier: MIT
#include "websocket/utf8.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "protocol_support.h"

namespace websockets {
namespace {

using protocol_support::Bytes;
using protocol_support::encode_character;
using protocol_support::naive_text_state;
using protocol_support::TextState;
using protocol_support::to_bytes;

TextState state_of(bool accepted, const Utf8Validator& validator) {
  if (!accepted) {
    return TextState::kInvalid;
  }
  return validator.complete() ? TextState::kWhole : TextState::kInsideCharacter;
}

TextState state_of(std::string_view text) {
  Utf8Validator validator;
  const bool accepted = validator.accept(to_bytes(text));
  return state_of(accepted, validator);
}

// What one, two or three bytes are, found by encoding every character there is and keeping all its beginnings.
class Table {
 public:
  Table() : three_(std::make_unique<std::array<TextState, 1U << 24U>>()) {
    one_.fill(TextState::kInvalid);
    two_.fill(TextState::kInvalid);
    three_->fill(TextState::kInvalid);
    for (std::uint32_t code = 0; code <= 0x10FFFF; ++code) {
      add(encode_character(code));
    }
  }

  TextState one(unsigned first) const { return one_[first]; }
  TextState two(unsigned first, unsigned second) const {
    return one(first) == TextState::kWhole ? one(second) : two_[first * 256 + second];
  }
  TextState three(unsigned first, unsigned second, unsigned third) const {
    if (one(first) == TextState::kWhole) {
      return two(second, third);
    }
    if (two(first, second) == TextState::kWhole) {
      return one(third);
    }
    return (*three_)[(first * 256 + second) * 256 + third];
  }

 private:
  void add(const std::string& character) {
    const auto state = [&](std::size_t size) {
      return character.size() == size ? TextState::kWhole : TextState::kInsideCharacter;
    };
    unsigned number = 0;
    for (std::size_t size = 1; size <= character.size() && size <= 3; ++size) {
      number = number * 256 + static_cast<std::uint8_t>(character[size - 1]);
      (size == 1 ? one_[number] : size == 2 ? two_[number] : (*three_)[number]) = state(size);
    }
  }

  std::array<TextState, 256> one_{};
  std::array<TextState, 65536> two_{};
  std::unique_ptr<std::array<TextState, 1U << 24U>> three_;
};

TEST(Utf8, JudgesEverySequenceOfThreeBytesAfterEachOfThem) {
  const auto table = std::make_unique<Table>();
  for (unsigned first = 0; first < 256; ++first) {
    std::array<std::uint8_t, 3> bytes = {static_cast<std::uint8_t>(first), 0, 0};
    Utf8Validator after_one;
    const bool accepted_one = after_one.accept(std::span(bytes).first(1));
    ASSERT_EQ(state_of(accepted_one, after_one), table->one(first));
    if (!accepted_one) {
      continue;
    }
    for (unsigned second = 0; second < 256; ++second) {
      bytes[1] = static_cast<std::uint8_t>(second);
      Utf8Validator after_two = after_one;
      const bool accepted_two = after_two.accept(std::span(bytes).subspan(1, 1));
      ASSERT_EQ(state_of(accepted_two, after_two), table->two(first, second));
      for (unsigned third = 0; third < 256 && accepted_two; ++third) {
        bytes[2] = static_cast<std::uint8_t>(third);
        Utf8Validator after_three = after_two;
        const bool accepted_three = after_three.accept(std::span(bytes).subspan(2));
        ASSERT_EQ(state_of(accepted_three, after_three), table->three(first, second, third));
      }
    }
  }
}

TEST(Utf8, JudgesEverySequenceOfThreeBytesAtOnce) {
  const auto table = std::make_unique<Table>();
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      const bool possible = table->two(first, second) != TextState::kInvalid;
      for (unsigned third = 0; third < 256; ++third) {
        const std::array<std::uint8_t, 3> bytes = {static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(second),
                                                   static_cast<std::uint8_t>(third)};
        Utf8Validator validator;
        const bool accepted = validator.accept(bytes);
        ASSERT_EQ(state_of(accepted, validator), possible ? table->three(first, second, third) : TextState::kInvalid)
            << first << " " << second << " " << third;
      }
    }
  }
}

TEST(Utf8, JudgesSequencesOfFourBytesAtTheBoundaries) {
  for (unsigned first = 0xEE; first <= 0xFF; ++first) {
    for (unsigned second = 0x70; second <= 0xD0; ++second) {
      for (const unsigned third : {0x00U, 0x7FU, 0x80U, 0xBFU, 0xC0U, 0xFFU}) {
        for (const unsigned fourth : {0x00U, 0x7FU, 0x80U, 0xBFU, 0xC0U, 0xFFU}) {
          const std::string text = {static_cast<char>(first), static_cast<char>(second), static_cast<char>(third),
                                    static_cast<char>(fourth)};
          ASSERT_EQ(state_of(text), naive_text_state(text)) << ::testing::PrintToString(to_bytes(text));
        }
      }
    }
  }
}

TEST(Utf8, AcceptsEveryCharacter) {
  Utf8Validator validator;
  for (std::uint32_t code = 0; code <= 0x10FFFF; ++code) {
    const Bytes bytes = to_bytes(encode_character(code));
    ASSERT_TRUE(validator.accept(bytes) && validator.complete()) << std::hex << code;
  }
}

const std::string_view kSamples[] = {
    "",
    "Hello",
    "\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5",
    "\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF",
    "na\xC3\xAFve",
    "\xEF\xBB\xBF",          // a byte order mark is text like any other
    "\xED\x9F\xBF",          // the last before the surrogates
    "\xED\xA0\x80",          // a surrogate
    "\xEE\x80\x80",          // the first behind them
    "\xC0\x80",              // overlong
    "\xE0\x9F\xBF",          // overlong
    "\xF0\x8F\xBF\xBF",      // overlong
    "\xF4\x90\x80\x80",      // above U+10FFFF
    "\xF5\x80\x80\x80",      // far above
    "\xFE\xFF",              // UTF-16
    "\x80",                  // begins in the midst
    "\xE2\x82",              // ends in the midst
    "\xE2\x82X",             // broken off
    "\xC3\xA4\xA4",          // one too many
    "\xF8\x88\x80\x80\x80",  // five bytes, once thought of
};

// Text before and behind it brings the sample to every place of the blocks that are looked at together.
TEST(Utf8, FindsTheSameWhereverItStandsAndHoweverItIsSplit) {
  for (const std::string_view sample : kSamples) {
    for (std::size_t before = 0; before <= 36; ++before) {
      for (const std::size_t behind : {0U, 1U, 7U, 16U, 20U, 48U}) {
        const std::string text = std::string(before, 'a').append(sample).append(behind, 'z');
        const Bytes bytes = to_bytes(text);
        const TextState expected = naive_text_state(text);
        for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
          Utf8Validator validator;
          const bool accepted =
              validator.accept(std::span(bytes).first(cut)) && validator.accept(std::span(bytes).subspan(cut));
          ASSERT_EQ(state_of(accepted, validator), expected) << text << ", cut at " << cut;
        }
      }
    }
  }
}

TEST(Utf8, FailsAtTheFirstImpossibleByte) {
  for (const std::string_view sample : kSamples) {
    Utf8Validator validator;
    for (std::size_t size = 1; size <= sample.size(); ++size) {
      const bool accepted = validator.accept(to_bytes(sample.substr(size - 1, 1)));
      ASSERT_EQ(state_of(accepted, validator), naive_text_state(sample.substr(0, size)));
      if (!accepted) {
        break;
      }
    }
  }
}

TEST(Utf8, StaysFailedUntilReset) {
  Utf8Validator validator;
  EXPECT_FALSE(validator.accept(to_bytes("\xFF")));
  EXPECT_FALSE(validator.accept(to_bytes("text that is quite valid by itself")));
  validator.reset();
  EXPECT_TRUE(validator.accept(to_bytes("text")));
  EXPECT_TRUE(validator.complete());
}

TEST(Utf8, IsSmall) { EXPECT_EQ(sizeof(Utf8Validator), 1U); }

}  // namespace
}  // namespace websockets
