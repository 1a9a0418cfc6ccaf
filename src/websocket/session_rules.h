// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/memory_budget.h"
#include "websocket/close_code.h"
#include "websocket/frame_writer.h"
#include "websocket/keepalive.h"
#include "websocket/message_batch.h"
#include "websocket/message_rates.h"

namespace websockets {

class SessionHandler;

enum class Role : std::uint8_t { kServer, kClient };

// The counters of all sessions of one endpoint: plain additions, where a session touches its own memory anyway.
struct SessionStats {
  std::uint64_t messages_received = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t queue_full = 0;  // frames
  // By code; what peers may choose freely has one place, behind the others.
  static constexpr std::size_t kFirstCode = 1000;
  static constexpr std::size_t kCodes = 16;
  std::array<std::uint64_t, kCodes + 1> closed{};

  void close(CloseCode code) { ++closed[std::min(static_cast<std::size_t>(code) - kFirstCode, kCodes)]; }
};

// The rules of all sessions of one endpoint; they outlive the sessions.
struct SessionRules {
  ReceiveRules receive{};  // expect_masked: of a server
  KeepaliveRules keepalive{};
  std::size_t max_backpressure_bytes = 16U << 20U;  // what may wait to be sent by one session
  std::uint64_t close_timeout_ms = 10'000;          // for the peer's Close frame, from the last byte that it took
  FrameWriter frames;                               // which masks them or not says who this is
  SessionHandler& handler;                          // of all: Carrier::user tells whose session it is
  const MemoryBudget& memory;
  SessionStats& stats;
  MessageRates& rates;

  Role role() const { return frames.masks() ? Role::kClient : Role::kServer; }
};

}  // namespace websockets
