// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

namespace websockets {

// Both at most 10^9 ms.
struct KeepaliveRules {
  std::uint64_t ping_interval_ms = 50'000;  // of silence, after each of which the peer is sent a Ping frame; 0: never
  std::uint64_t idle_timeout_ms = 120'000;  // how long the peer may be silent; 0: without end

  bool operator==(const KeepaliveRules&) const = default;

  // The ping_interval that holds: the first ping leaves its answer at least half of idle_timeout.
  std::uint64_t effective_interval_ms() const;
};

// Notices when a peer has fallen silent. Knows no clock: times are milliseconds of one that does not go back.
//
// A peer is idle when it has not answered, not because nobody has asked: where the process stood still for longer than
// idle_timeout, a Ping frame comes first, and its answer has as long as it has otherwise.
class Keepalive {
 public:
  // Something was received. All that has to be done for each message.
  void note_received(std::uint64_t now_ms) { received_ms_ = static_cast<std::uint32_t>(now_ms); }
  // The first byte: nothing is asked yet.
  void begin(std::uint64_t now_ms) {
    note_received(now_ms);
    pinged_ms_ = received_ms_ - kLongAgoMs;  // also if what was heard is told by a clock that is read once in a round
  }

  enum class Action : std::uint8_t { kNone, kPing, kEnd };
  // What is to be done now. kPing: takes it for done.
  Action check(const KeepaliveRules& rules, std::uint64_t now_ms);
  // When to check next, from now on; nullopt: never. After check().
  std::optional<std::uint64_t> wait_ms(const KeepaliveRules& rules, std::uint64_t now_ms) const;

 private:
  static constexpr std::uint32_t kLongAgoMs = 1U << 29U;

  // The lower bits of times are enough: check() keeps them near.
  static std::uint32_t passed_ms(std::uint32_t since_ms, std::uint64_t now_ms);
  bool is_pinged() const { return static_cast<std::int32_t>(pinged_ms_ - received_ms_) > 0; }
  std::uint64_t left_ms(const KeepaliveRules& rules, std::uint64_t now_ms) const;

  std::uint32_t received_ms_ = 0;  // when something was received last
  std::uint32_t pinged_ms_ = 0;    // the first time since then; not later: the peer was not
};

}  // namespace websockets
