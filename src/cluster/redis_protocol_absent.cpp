// SPDX-License-Identifier: MIT
// In place of redis_protocol.cpp, where there is no hiredis: nobody gets as far as to call it.
#include "cluster/redis_protocol.h"

namespace websockets {

class RedisReplyReader::Parser {};

bool has_redis_protocol() { return false; }

RedisReplyReader::RedisReplyReader(std::size_t /*max_reply_bytes*/) {}

RedisReplyReader::~RedisReplyReader() = default;

RedisReplyReader::Status RedisReplyReader::read(std::span<const std::uint8_t>& /*input*/, RedisReply& /*reply*/) {
  return Status::kMalformed;
}

std::size_t RedisReplyReader::held_bytes() const { return 0; }

void append_redis_command(ByteBuffer& /*output*/, std::span<const std::string_view> /*arguments*/) {}

}  // namespace websockets
