// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/redis_url.h"
#include "net/tls_client_context.h"

namespace websockets {

// Topics that remember what was published.
struct HistoryOptions {
  std::vector<std::string> prefixes;  // of their names
  std::size_t size = 100;             // messages of each topic, at most
  std::uint64_t ttl_ms = 300'000;     // for which nothing was published: then it is forgotten
};

// How a context reaches those of other machines.
struct ClusterOptions {
  struct Server {
    RedisUrl url;
    TlsClientOptions tls;
  };

  std::vector<Server> servers;               // over which the topics are spread; all machines name them in one order
  std::string prefix = "ws:";                // of all channels and keys
  std::size_t max_queued_bytes = 1U << 20U;  // that wait for a server
  HistoryOptions history;
};

}  // namespace websockets
