// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace websockets {

// What a Redis server says (RESP2): the reply to a command, or a message of a subscription.
struct RedisReply {
  enum class Type : std::uint8_t { kNil, kInteger, kStatus, kError, kString, kArray };

  Type type = Type::kNil;
  std::int64_t integer = 0;
  std::string text;  // of a status, an error, or a string: any bytes
  std::vector<RedisReply> elements;

  bool is_error() const { return type == Type::kError; }
};

}  // namespace websockets
