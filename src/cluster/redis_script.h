// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "cluster/redis_commands.h"

namespace websockets {

// A script that a Redis server runs, which is asked for by its hash: the server has its text already, or else is given
// it. Calls are done in their order, each once at most.
class RedisScript {
 public:
  // `commands` outlives it, but for the replies that still come. `text` is for ever.
  RedisScript(RedisCommands& commands, std::string_view text);
  ~RedisScript();
  RedisScript(const RedisScript&) = delete;
  RedisScript& operator=(const RedisScript&) = delete;

  // As RedisCommands::send(). What is given is kept until the reply.
  bool run(std::span<const std::string_view> keys, std::span<const std::string_view> arguments,
           RedisCommands::OnReply on_reply);

 private:
  struct Call;
  class Calls;

  std::shared_ptr<Calls> calls_;
};

}  // namespace websockets
