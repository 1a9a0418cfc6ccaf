// SPDX-License-Identifier: MIT
#include "websocket/deflate.h"

#include <gtest/gtest.h>

#include "protocol_support.h"

namespace websockets {
namespace {

using namespace protocol_support;

std::string compressed(Deflater& deflater, std::string_view message) {
  ByteBuffer out;
  deflater.compress(to_bytes(message), out);
  return to_text(out.bytes());
}

// Fed in pieces of `piece_bytes` with `space_bytes` of space; "invalid", "cut off" otherwise.
std::string inflated(Inflater& inflater, std::string_view message, std::size_t piece_bytes = 1U << 20U,
                     std::size_t space_bytes = 1U << 20U) {
  std::string all;
  bool is_valid = true;
  const auto feed = [&](std::span<const std::uint8_t> input) {
    Bytes out(space_bytes);
    std::span<std::uint8_t> space;
    do {
      space = out;
      is_valid = is_valid && inflater.inflate(input, space);
      all += to_text(std::span(out).first(out.size() - space.size()));
    } while (is_valid && (!input.empty() || space.empty()));
  };
  for (std::size_t at = 0; at < message.size() && is_valid; at += piece_bytes) {
    feed(to_bytes(message.substr(at, piece_bytes)));
  }
  if (is_valid) feed(inflater.tail());
  if (!is_valid) return "invalid";
  return inflater.end_message() ? all : "cut off";
}

std::string random_text(std::mt19937& random, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "word" + std::to_string(random() % 300) + ' ';
  text.resize(bytes);
  return text;
}

// RFC 7692 7.2.3.1 and 7.2.3.2.
TEST(Deflater, CompressesAsTheExamplesOfTheRfc) {
  Deflater deflater({});
  EXPECT_EQ(compressed(deflater, "Hello"), "\xF2\x48\xCD\xC9\xC9\x07" + std::string(1, '\0'));
  EXPECT_EQ(compressed(deflater, "Hello"), "\xF2" + std::string("\0\x11\0\0", 4));
  deflater.reset();
  EXPECT_EQ(compressed(deflater, "Hello"), "\xF2\x48\xCD\xC9\xC9\x07" + std::string(1, '\0'));
}

// RFC 7692 7.2.3.
TEST(Inflater, ReadsTheExamplesOfTheRfc) {
  Inflater inflater(15);
  const std::string zero(1, '\0');
  EXPECT_EQ(inflated(inflater, "\xF2\x48\xCD\xC9\xC9\x07" + zero), "Hello");
  EXPECT_EQ(inflated(inflater, "\xF2" + std::string("\0\x11\0\0", 4)), "Hello");
  EXPECT_EQ(inflated(inflater, zero + "\x05" + zero + "\xFA\xFFHello" + zero), "Hello") << "without compression";
  EXPECT_EQ(inflated(inflater, "\xF3\x48\xCD\xC9\xC9\x07" + zero + zero), "Hello") << "BFINAL";
  EXPECT_EQ(inflated(inflater, "\xF2\x48\x05" + std::string("\0\0\0\xFF\xFF\xCA\xC9\xC9\x07\0", 10)), "Hello")
      << "two blocks";
}

TEST(Inflater, KeepsItsWindowBehindAFinalBlock) {
  Inflater inflater(15);
  const std::string hello_from_before = "\xF2" + std::string("\0\x11\0\0", 4);
  EXPECT_EQ(inflated(inflater, "\xF3\x48\xCD\xC9\xC9\x07" + std::string(2, '\0')), "Hello");
  EXPECT_EQ(inflated(inflater, hello_from_before), "Hello");
  inflater.reset();
  EXPECT_EQ(inflated(inflater, hello_from_before), "invalid");
}

TEST(Inflater, GoesOnBehindAFinalBlockInTheSameMessage) {
  Inflater inflater(15);
  const std::string final_hello = "\xF3\x48\xCD\xC9\xC9\x07" + std::string(1, '\0');
  EXPECT_EQ(inflated(inflater, final_hello + final_hello + std::string(1, '\0'), 1, 1), "HelloHello");
}

TEST(Inflater, TakesAMessageThatEndsWithAFinalBlock) {
  Inflater inflater(15);
  EXPECT_EQ(inflated(inflater, "\xF3\x48\xCD\xC9\xC9\x07" + std::string(1, '\0')), "Hello");
  EXPECT_EQ(inflated(inflater, "\xF2\x48\xCD\xC9\xC9\x07" + std::string(1, '\0')), "Hello");
}

TEST(Inflater, TakesEmptyMessages) {
  Inflater inflater(15);
  EXPECT_EQ(inflated(inflater, ""), "");
  EXPECT_EQ(inflated(inflater, std::string(1, '\0')), "") << "RFC 7692 7.2.3.6";
  EXPECT_EQ(inflated(inflater, std::string("\x02\0", 2)), "") << "an empty block with fixed codes";
  EXPECT_EQ(inflated(inflater, ""), "");
  EXPECT_EQ(inflated(inflater, "\xF2\x48\xCD\xC9\xC9\x07" + std::string(1, '\0')), "Hello");
}

TEST(Inflater, FindsWhatIsNotDeflateData) {
  for (const std::string invalid : {"\xFF", "\x07", "\x02\x01\x02\x03", "garbage garbage"}) {
    Inflater inflater(15);
    EXPECT_EQ(inflated(inflater, invalid), "invalid") << invalid;
    inflater.reset();
    EXPECT_EQ(inflated(inflater, "\xF2\x48\xCD\xC9\xC9\x07" + std::string(1, '\0')), "Hello");
  }
}

TEST(Inflater, FindsWhatWasCutOff) {
  const std::string whole = "\xF2\x48\xCD\xC9\xC9\x07" + std::string(1, '\0');
  for (std::size_t bytes = 1; bytes < whole.size() - 1; ++bytes) {
    Inflater inflater(15);
    const std::string result = inflated(inflater, whole.substr(0, bytes));
    EXPECT_TRUE(result == "invalid" || result == "cut off") << bytes << ' ' << result;
  }
  Inflater inflater(15);
  EXPECT_EQ(inflated(inflater, std::string("\0\x14\0\xEB\xFFHel", 8)), "cut off");
}

TEST(Deflate, GivesBackWhatItGot) {
  std::mt19937 random(7692);
  for (int window_bits = 9; window_bits <= 15; ++window_bits) {
    Deflater deflater({.level = 1 + window_bits % 9, .window_bits = window_bits, .memory_level = window_bits - 7});
    Inflater inflater(window_bits);
    for (const std::size_t bytes : {1U, 2U, 3U, 100U, 511U, 512U, 5000U, 70000U, 400000U, 1U}) {
      const std::string message = random_text(random, bytes);
      EXPECT_EQ(inflated(inflater, compressed(deflater, message)), message);
    }
  }
}

TEST(Deflate, GivesBackWhatItGotInPiecesOfAnySize) {
  std::mt19937 random(1);
  Deflater deflater({});
  for (const auto& [piece_bytes, space_bytes] : {std::pair{1U, 1U}, {1U, 1000U}, {1000U, 1U}, {7U, 11U}}) {
    Inflater inflater(15);
    deflater.reset();
    for (const std::size_t bytes : {1U, 300U, 3000U}) {
      const std::string message = random_text(random, bytes);
      EXPECT_EQ(inflated(inflater, compressed(deflater, message), piece_bytes, space_bytes), message);
    }
  }
}

// A deflater that learned of a message may refer to what came before it, and to the message itself.
TEST(Deflate, LearnsWhatOthersCompressed) {
  std::mt19937 random(2);
  for (const int window_bits : {9, 12, 15}) {
    for (const int level : {1, 4, 6, 9}) {
      const DeflateSettings settings{.level = level, .window_bits = window_bits, .memory_level = window_bits - 7};
      Deflater own(settings);
      Deflater shared(settings);
      Inflater inflater(window_bits);
      for (int round = 0; round < 60; ++round) {
        const std::size_t limit = round % 20 == 0 ? 100000 : 600;
        const std::string message = random_text(random, 1 + random() % limit);
        const bool is_shared = random() % 2 == 0;
        if (is_shared) {
          shared.reset();
          ASSERT_EQ(inflated(inflater, compressed(shared, message)), message);
          own.learn(to_bytes(message));
        } else {
          ASSERT_EQ(inflated(inflater, compressed(own, message)), message);
        }
      }
    }
  }
}

TEST(Deflate, CompressesBetterWhatItLearned) {
  Deflater deflater({});
  deflater.compress(Bytes{'x'}, *std::make_unique<ByteBuffer>());
  std::mt19937 random(3);
  const std::string message = random_text(random, 1000);
  deflater.learn(to_bytes(message));
  EXPECT_LT(compressed(deflater, message).size(), 30U);
}

}  // namespace
}  // namespace websockets
