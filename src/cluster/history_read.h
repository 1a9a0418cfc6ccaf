// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/history_message.h"

namespace websockets {

struct RedisReply;

// What to read of a history.
struct HistoryReadRequest {
  std::uint64_t number = 0;  // rises with each read of the topic
  std::string epoch;         // that is known; empty: none
  std::uint64_t after = 0;   // an offset
  std::uint64_t last = 0;    // what all had got when it was sent
  bool has_messages = true;  // false: only the epoch and the newest offset
  bool makes_epoch = false;  // where there is none
};

// What kHistoryReadScript has read. Its texts are the reply's.
struct HistoryRead {
  // Nothing: it is no such reply. `origin`: of this process. Throws std::bad_alloc.
  static std::optional<HistoryRead> parse(const RedisReply& reply, std::string_view origin);

  std::string_view epoch;  // empty: there is no history
  std::uint64_t top = 0;   // the offset of the newest message; 0: there is none in this epoch
  bool is_end = false;     // no further ones are behind these
  std::vector<HistoryMessage> messages;

  // The oldest one that it could find; behind the newest, if there was none.
  std::uint64_t first() const { return messages.empty() ? top + 1 : messages.front().offset; }
};

}  // namespace websockets
