// SPDX-License-Identifier: MIT
#pragma once

#include "server/options.h"
#include "server/refusals.h"
#include "server/stats.h"

namespace websockets {

class Admission;
class CompressionPool;
class Hub;
class OutputPool;

// The rules of all HTTP exchanges of one server, and what they share; they outlive the exchanges.
struct ServerRules {
  const ContextOptions& options;
  Stats& stats;
  OutputPool& output_pool;
  Admission& admission;
  Refusals& refusals;
  const Hub& hub;
  CompressionPool* compression = nullptr;  // null: off
  bool is_draining = false;                // then each answer is the last one of its connection
  bool is_shutting_down = false;           // the same, and no request becomes a websocket

  // Counts the client, and tells of it later.
  void refuse(RefusalReason reason, const RefusedClient& client) const {
    stats.refuse(reason);
    if (options.reports_refusals) refusals.add(reason, client);
  }
};

}  // namespace websockets
