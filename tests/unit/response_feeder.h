// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/response_parser.h"

namespace websockets {

inline std::string describe(const ReceivedHead& head) {
  std::string text = std::to_string(head.status());
  text.append(" 1.").append(std::to_string(head.minor_version())).append(" ").append(head.reason()).append("\n");
  HeaderLines lines = head.headers();
  std::string_view name;
  std::string_view value;
  while (lines.next(name, value)) text.append(name).append("=").append(value).append("\n");
  return text;
}

// Gives a parser a stream piece by piece, each at the end of an allocation of its own, and writes down what comes out,
// and what is behind an answer that grants what was asked for.
class ResponseFeeder {
 public:
  explicit ResponseFeeder(ResponseParser::Asked asked = ResponseParser::Asked::kWebsocket,
                          const ResponseLimits& limits = {})
      : asked_(asked), parser_(asked, limits) {}

  void feed(std::string_view piece) {
    const std::vector<std::uint8_t> bytes(piece.begin(), piece.end());
    std::span<const std::uint8_t> input(bytes);
    if (!has_ended_) {
      note(parser_.consume(input));
      EXPECT_TRUE(has_ended_ || input.empty()) << "not all input was taken";
    }
    rest_.append(reinterpret_cast<const char*>(input.data()), input.size());
  }
  void end() {
    if (has_ended_) return;
    note(parser_.end_of_input());
    EXPECT_TRUE(has_ended_);
  }
  bool has_ended() const { return has_ended_; }
  // Without what is behind content, which nobody looks at.
  std::string log() const {
    const int status = parser_.head().status();
    const bool is_granted = asked_ == ResponseParser::Asked::kTunnel ? status / 100 == 2 : status == 101;
    return is_granted ? log_ + rest_ : log_;
  }

 private:
  void note(ResponseParser::Status status) {
    switch (status) {
      case ResponseParser::Status::kMore:
        return;
      case ResponseParser::Status::kComplete:
        EXPECT_TRUE(parser_.has_head());
        log_ = describe(parser_.head()).append("{").append(parser_.body()).append("}");
        log_ += parser_.is_body_whole() ? "\n" : "...\n";
        break;
      case ResponseParser::Status::kError:
        EXPECT_FALSE(parser_.has_head());
        log_.append("error: ").append(parser_.error_text()).append("\n");
        break;
    }
    has_ended_ = true;
    std::span<const std::uint8_t> nothing;
    EXPECT_EQ(parser_.consume(nothing), status);
    EXPECT_EQ(parser_.end_of_input(), status);
  }

  ResponseParser::Asked asked_;
  ResponseParser parser_;
  std::string log_;
  std::string rest_;
  bool has_ended_ = false;
};

}  // namespace websockets
