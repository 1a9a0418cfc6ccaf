// SPDX-License-Identifier: MIT
#include "http/line_reader.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace websockets {
namespace {

using Result = LineReader::Result;

std::string_view name_of(Result result) {
  switch (result) {
    case Result::kMore:
      return "more";
    case Result::kLine:
      return "line";
    case Result::kTooLong:
      return "too long";
    case Result::kBareLf:
      return "bare LF";
    case Result::kFoldedLine:
      return "folded";
  }
  return "?";
}

// Gives the text in pieces up to the first refusal, and writes down what was said of each line, and how much was taken.
class Gathering {
 public:
  explicit Gathering(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  void give(std::string_view piece) {
    const std::vector<std::uint8_t> bytes(piece.begin(), piece.end());
    std::span<const std::uint8_t> input(bytes);
    while (!refused_) {
      const Result result = gatherer_.take_line(input, block_, limit_bytes_);
      if (result == Result::kMore) {
        EXPECT_TRUE(input.empty());
        return;
      }
      log_.append(name_of(result)).append(" ").append(std::to_string(block_.size())).append("\n");
      if (result == Result::kLine) log_.append(gatherer_.line(block_));
      refused_ = result != Result::kLine;
    }
  }

  const std::string& log() const { return log_; }

 private:
  std::size_t limit_bytes_;
  LineReader gatherer_;
  std::string block_;
  std::string log_;
  bool refused_ = false;
};

std::string log_however_split(std::string_view text, std::size_t limit_bytes = 100) {
  Gathering by_byte(limit_bytes);
  for (const char& c : text) by_byte.give({&c, 1});
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Gathering halves(limit_bytes);
    halves.give(text.substr(0, cut));
    halves.give(text.substr(cut));
    EXPECT_EQ(halves.log(), by_byte.log()) << "split at " << cut;
  }
  return by_byte.log();
}

TEST(LineReader, TakesLineByLine) {
  EXPECT_EQ(log_however_split("ab\r\n\r\ncd\r\nef"), "line 4\nab\r\nline 6\n\r\nline 10\ncd\r\n");
  EXPECT_EQ(log_however_split("a\rb\r\r\n"), "line 6\na\rb\r\r\n");
}

TEST(LineReader, RefusesABareLf) {
  EXPECT_EQ(log_however_split("\n"), "bare LF 1\n");
  EXPECT_EQ(log_however_split("ab\ncd\r\n"), "bare LF 3\n");
  EXPECT_EQ(log_however_split("ab\r\n\ncd\r\n"), "line 4\nab\r\nbare LF 5\n");
}

TEST(LineReader, RefusesAFoldedLineButNoBlankAtTheBeginning) {
  EXPECT_EQ(log_however_split(" a\r\n b\r\n"), "line 4\n a\r\nfolded 8\n");
  EXPECT_EQ(log_however_split("a\r\n\tb\r\n"), "line 3\na\r\nfolded 7\n");
}

TEST(LineReader, RefusesWhatDoesNotEndWithinTheLimit) {
  EXPECT_EQ(log_however_split("ab\r\n", 4), "line 4\nab\r\ntoo long 4\n");
  EXPECT_EQ(log_however_split("ab\r\ncd\r\n", 8), "line 4\nab\r\nline 8\ncd\r\ntoo long 8\n");
  EXPECT_EQ(log_however_split("ab\r\ncd\r\n", 7), "line 4\nab\r\ntoo long 7\n");
  EXPECT_EQ(log_however_split("ab\r\n", 3), "too long 3\n");
}

TEST(LineReader, LeavesWhatIsBehindTheLine) {
  LineReader gatherer;
  std::string block;
  const std::string_view text = "a\r\nb\r\nc";
  std::span<const std::uint8_t> input(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  EXPECT_EQ(gatherer.take_line(input, block, 100), Result::kLine);
  EXPECT_EQ(block, "a\r\n");
  EXPECT_EQ(input.size(), 4U);
  EXPECT_EQ(gatherer.take_line(input, block, 100), Result::kLine);
  EXPECT_EQ(gatherer.line_count(), 2U);
  gatherer.reset();
  block.clear();
  EXPECT_EQ(gatherer.line_count(), 0U);
  EXPECT_EQ(gatherer.take_line(input, block, 100), Result::kMore);
  EXPECT_EQ(block, "c");
}

}  // namespace
}  // namespace websockets
