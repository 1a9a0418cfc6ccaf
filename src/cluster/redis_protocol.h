// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/byte_buffer.h"
#include "cluster/redis_reply.h"

namespace websockets {

// Whether this is a build with hiredis. In one without it no reader can be made, and nothing appended.
bool has_redis_protocol();

// Reads replies out of what a Redis server sends (RESP2), and does no I/O. What it holds is bounded, whatever comes.
class RedisReplyReader {
 public:
  enum class Status : std::uint8_t {
    kReply,
    kMore,       // the next one has not come whole yet
    kMalformed,  // not RESP2
    kTooLarge,   // more than max_reply_bytes
    kNoMemory,
  };

  // Throws std::bad_alloc. What one reply takes, with its elements, is at most `max_reply_bytes`.
  explicit RedisReplyReader(std::size_t max_reply_bytes);
  ~RedisReplyReader();
  RedisReplyReader(const RedisReplyReader&) = delete;
  RedisReplyReader& operator=(const RedisReplyReader&) = delete;

  // Takes bytes from the front of `input` until a reply is whole, or all. After an error nothing is taken any more, and
  // it is returned again.
  Status read(std::span<const std::uint8_t>& input, RedisReply& reply);
  // What it holds of a reply that has not come whole yet.
  std::size_t held_bytes() const;

 private:
  class Parser;

  std::unique_ptr<Parser> parser_;
};

// Appends a command: its name and its arguments, by count, so that any bytes may be in them. Throws std::bad_alloc;
// `output` is then as it was.
void append_redis_command(ByteBuffer& output, std::span<const std::string_view> arguments);

}  // namespace websockets
