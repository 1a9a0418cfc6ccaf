// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>

#include "websocket/frame.h"

namespace websockets {

// A message of a history. Owns nothing.
struct HistoryMessage {
  std::uint64_t offset = 0;
  bool is_lost = false;  // it has no data, which cannot be had
  Opcode opcode = Opcode::kText;
  std::uint64_t sender = 0;  // the receiver of this process which does not get it live; 0: there is none
  std::string_view data;
};

}  // namespace websockets
