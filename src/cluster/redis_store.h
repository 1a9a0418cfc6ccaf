// SPDX-License-Identifier: MIT
#pragma once

#include "cluster/redis_commands.h"
#include "cluster/redis_names.h"

namespace websockets {

// A server of a cluster, for what keeps something there.
struct RedisStore {
  RedisCommands& commands;
  const RedisNames& names;
};

}  // namespace websockets
