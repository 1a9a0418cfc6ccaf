// SPDX-License-Identifier: MIT
#include "client/client_rules.h"

namespace websockets {

ClientRules::ClientRules(ClientSessions& sessions, const ClientLimits& its_limits)
    : limits(its_limits),
      session{{limits.max_message_bytes, limits.check_utf8, false, &sessions.partial_messages},
              limits.keepalive,
              limits.max_backpressure_bytes,
              limits.close_timeout_ms,
              FrameWriter(sessions.loop.output_pool(), &sessions.keys),
              sessions.handler,
              sessions.loop.memory(),
              sessions.stats,
              sessions.rates} {
  if (limits.compression) compression = std::make_unique<CompressionPool>(*limits.compression);
}

std::shared_ptr<const ClientRules> ClientRulesPool::rules_for(const ClientOptions& options) {
  const ClientLimits limits(options);
  for (const std::weak_ptr<const ClientRules>& weak : latest_) {
    std::shared_ptr<const ClientRules> rules = weak.lock();
    if (rules != nullptr && rules->limits == limits) return rules;
  }
  auto rules = std::make_shared<const ClientRules>(sessions_, limits);
  latest_[next_++ % latest_.size()] = rules;
  return rules;
}

}  // namespace websockets
