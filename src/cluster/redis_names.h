// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace websockets {

// The names of channels and keys of Redis: "PREFIX DATABASE:KIND:NAME" without the space. PUBLISH knows no databases.
class RedisNames {
 public:
  enum Kind : char {
    kTopic = 't',         // channels: of a topic,
    kHistoryTopic = 'h',  // of one with a history,
    kBroadcast = 'b',     // of a subprotocol
    kStream = 's',        // keys, of a topic: its history,
    kMeta = 'm',          // the history's epoch and offset,
    kPresence = 'p',      // who is there,
    kCount = 'n',         // how many are there
    kLeases = 'l',        // a key: which nodes live
  };

  RedisNames(std::string_view prefix, std::uint32_t database);

  // Throws std::bad_alloc.
  std::string name(Kind kind, std::string_view of) const;

  struct Parsed {
    char kind;
    std::string_view of;
  };
  // Nothing: it is of somebody else.
  std::optional<Parsed> parse(std::string_view name) const;

 private:
  std::string begin_;
};

}  // namespace websockets
