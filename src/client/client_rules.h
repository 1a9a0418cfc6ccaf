// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "client/client_options.h"
#include "loop/loop.h"
#include "websocket/keepalive.h"
#include "websocket/message_compression.h"
#include "websocket/message_rates.h"
#include "websocket/partial_message.h"
#include "websocket/session_rules.h"

namespace websockets {

// What the sessions of all clients of one loop have in common; it outlives them.
struct ClientSessions {
  ClientSessions(Loop& its_loop, MaskingKeys& its_keys, SessionHandler& its_handler)
      : loop(its_loop), keys(its_keys), handler(its_handler) {}

  Loop& loop;
  MaskingKeys& keys;
  SessionHandler& handler;
  SessionStats stats;
  MessageRates rates{{}};  // unlimited
  PartialMessagePool partial_messages;
};

// The options that a session follows.
struct ClientLimits {
  explicit ClientLimits(const ClientOptions& options)
      : keepalive(options.keepalive),
        close_timeout_ms(options.close_timeout_ms),
        max_message_bytes(options.max_message_bytes),
        max_backpressure_bytes(options.max_backpressure_bytes),
        check_utf8(options.check_utf8),
        compression(options.compression) {}
  bool operator==(const ClientLimits&) const = default;

  KeepaliveRules keepalive;
  std::uint64_t close_timeout_ms;
  std::uint64_t max_message_bytes;
  std::size_t max_backpressure_bytes;
  bool check_utf8;
  std::optional<CompressionOptions> compression;
};

// The rules of sessions, shared by those of equal options.
struct ClientRules {
  ClientRules(ClientSessions& sessions, const ClientLimits& its_limits);

  ClientLimits limits;
  SessionRules session;
  std::unique_ptr<CompressionPool> compression;  // null: not offered
};

// Finds the rules that are in use already. Only the latest ones are looked at: where there are many different ones,
// nothing is gained by looking.
class ClientRulesPool {
 public:
  explicit ClientRulesPool(ClientSessions& sessions) : sessions_(sessions) {}
  // Throws std::bad_alloc.
  std::shared_ptr<const ClientRules> rules_for(const ClientOptions& options);

 private:
  ClientSessions& sessions_;
  std::array<std::weak_ptr<const ClientRules>, 16> latest_;
  std::size_t next_ = 0;
};

}  // namespace websockets
