// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace websockets {

// Between two messages of a topic with a history: behind that of `offset`. For clients it is an opaque text.
struct HistoryPosition {
  // Nothing: it is none. Throws std::bad_alloc, as text() does.
  static std::optional<HistoryPosition> parse(std::string_view text);
  std::string text() const;

  std::string epoch;        // the history's, which begins another one when it was forgotten; letters and digits
  std::string replication;  // of the server's data: another one after a failover, which may have lost messages
  std::uint64_t offset = 0;

  bool operator==(const HistoryPosition&) const = default;
};

}  // namespace websockets
