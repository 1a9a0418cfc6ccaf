// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "websocket/close_code.h"
#include "websocket/message_batch.h"

namespace websockets {

class Session;

// What a session tells its owner. Each call may do anything with the session; it stays in memory until the call has
// returned. Where bool is returned, false means that the owner's code failed: the session is closed with 1011. No call
// throws.
class SessionHandler {
 public:
  // To be taken as long as session.takes_messages(), at least the first one.
  virtual bool on_messages(Session& session, MessageBatch& messages) = 0;
  // In chunk mode instead of on_messages.
  virtual bool on_chunk(Session& session, MessageType type, std::span<const std::uint8_t> piece, bool is_last) = 0;
  // A Pong frame has come; only for sessions that want to know.
  virtual bool on_pong(Session& session, std::span<const std::uint8_t> payload) = 0;
  // The output queue has become empty, or shorter; only for sessions that want to know.
  virtual bool on_drained(Session& session) = 0;
  // Once, whatever ended it. The session takes no more calls afterwards.
  virtual void on_closed(Session& session, CloseCode code, std::string_view reason) = 0;

 protected:
  ~SessionHandler() = default;
};

}  // namespace websockets
