// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/budget.h"
#include "http/request_parser.h"

namespace websockets {

inline std::string describe(const Request& request) {
  std::string text;
  text.append(request.method()).append(" ").append(request.target());
  text.append(" 1.").append(std::to_string(request.minor_version()));
  text += request.keep_alive() ? " keep\n" : " close\n";
  for (const Request::Header& header : request.headers()) {
    text.append(header.name).append("=").append(header.value).append("\n");
  }
  return text.append("{").append(request.body()).append("}\n");
}

// Gives a parser a stream piece by piece, each at the end of an allocation of its own, as a connection would, and
// writes down what comes out and behind which byte. Behind a handshake nothing is parsed any more.
class RequestFeeder {
 public:
  // `work`: that each call of the parser may do.
  explicit RequestFeeder(const RequestLimits& limits = {}, std::uint32_t work = kQuantum)
      : parser_(limits), work_(work) {}

  void feed(std::string_view piece) {
    const std::vector<std::uint8_t> bytes(piece.begin(), piece.end());
    std::span<const std::uint8_t> input(bytes);
    fed_ += piece.size();
    while (!refused_ && !switched_ && step(input)) {
    }
    if (switched_) log_.append(reinterpret_cast<const char*>(input.data()), input.size());
  }

  const std::string& log() const { return log_; }
  bool refused() const { return refused_; }
  RequestParser& parser() { return parser_; }

 private:
  bool step(std::span<const std::uint8_t>& input) {
    Budget budget(work_);
    const RequestParser::Status status = parser_.consume(input, budget);
    const std::string position = std::to_string(fed_ - input.size());
    switch (status) {
      case RequestParser::Status::kIncomplete:
        EXPECT_TRUE(input.empty() || budget.is_spent()) << "not all input was taken";
        return !input.empty() && budget.is_spent();
      case RequestParser::Status::kHead:
        log_.append("head ").append(position).append("\n");
        EXPECT_EQ(parser_.request().body(), "");
        return true;
      case RequestParser::Status::kComplete:
        log_.append("complete ").append(position).append(": ").append(describe(parser_.request()));
        switched_ = parser_.request().header("upgrade") == "websocket";
        if (!switched_) parser_.reset();
        return !switched_;
      case RequestParser::Status::kError:
        log_.append("error ").append(std::to_string(parser_.error_status())).append("\n");
        EXPECT_FALSE(parser_.error_text().empty());
        EXPECT_EQ(parser_.consume(input), RequestParser::Status::kError);
        refused_ = true;
        return false;
    }
    return false;
  }

  RequestParser parser_;
  std::uint32_t work_;
  std::string log_;
  std::size_t fed_ = 0;
  bool refused_ = false;
  bool switched_ = false;
};

// The log of the stream; fails unless it is the same for each way to split the stream in two, and byte by byte.
inline std::string log_however_split(std::string_view stream, const RequestLimits& limits = {}) {
  RequestFeeder by_byte(limits);
  std::size_t refused_behind = stream.size() + 1;
  for (std::size_t i = 0; i < stream.size(); ++i) {
    const bool was_refused = by_byte.refused();
    by_byte.feed(stream.substr(i, 1));
    by_byte.feed({});
    if (by_byte.refused() && !was_refused) refused_behind = i + 1;
  }
  RequestFeeder by_little_work(limits, 1);
  by_little_work.feed(stream);
  EXPECT_EQ(by_little_work.log(), by_byte.log()) << "of " << stream;
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    RequestFeeder halves(limits);
    halves.feed(stream.substr(0, cut));
    EXPECT_EQ(halves.refused(), cut >= refused_behind) << "split at " << cut;
    halves.feed(stream.substr(cut));
    EXPECT_EQ(halves.log(), by_byte.log()) << "split at " << cut;
    if (testing::Test::HasFailure()) break;
  }
  return by_byte.log();
}

// How many bytes of the stream are taken until it is refused; 0: it is not.
inline std::size_t refused_behind(std::string_view stream, const RequestLimits& limits = {}) {
  RequestFeeder feeder(limits);
  for (std::size_t i = 0; i < stream.size(); ++i) {
    feeder.feed(stream.substr(i, 1));
    if (feeder.refused()) return i + 1;
  }
  return 0;
}

}  // namespace websockets
