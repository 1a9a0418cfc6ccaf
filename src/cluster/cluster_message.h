// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "websocket/frame.h"

namespace websockets {

// What goes to other machines by a channel of Redis: a line "1 KIND ORIGIN SENDER", or "1 KIND ORIGIN SENDER EPOCH
// OFFSET" where a topic has a history, and then the data. 1 is the version of this format. Owns nothing.
struct ClusterMessage {
  // Nothing: it is none, or one of another version.
  static std::optional<ClusterMessage> parse(std::span<const std::uint8_t> payload);

  // The line with its end. Throws std::bad_alloc.
  std::string header() const;

  Opcode opcode = Opcode::kText;
  std::string_view origin;   // who has sent it: letters and digits
  std::uint64_t sender = 0;  // the serial of the receiver there which does not get it; 0: there is none
  std::string_view epoch;    // of the history: letters and digits; empty: there is none
  std::uint64_t offset = 0;  // its place there, from 1
  std::span<const std::uint8_t> data;
};

}  // namespace websockets
