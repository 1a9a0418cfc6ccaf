// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "cluster/redis_reply.h"

namespace websockets {

// What sends commands to a Redis server. Replies come in the order of the commands.
class RedisCommands {
 public:
  // nullptr: the connection was lost before the reply came, and whether the command was done is not known. May do
  // anything but destroy the link; throws nothing.
  using OnReply = std::function<void(const RedisReply* reply)>;

  // False: it was not sent, as there is no connection, or too much waits already. An empty `on_reply`: nobody asks. The
  // reply never comes within the call. Throws std::bad_alloc; it was not sent then.
  virtual bool send(std::span<const std::string_view> command, OnReply on_reply) = 0;

 protected:
  ~RedisCommands() = default;
};

}  // namespace websockets
