// SPDX-License-Identifier: MIT
#include "websocket/keepalive.h"

#include <algorithm>
#include <limits>

namespace websockets {
namespace {

// More than the rules may say. So the difference of two times stays below the 31 bits that tell which one is the later.
constexpr std::uint32_t kLongestMs = 1U << 30U;

}  // namespace

std::uint64_t KeepaliveRules::effective_interval_ms() const {
  if (idle_timeout_ms == 0) return ping_interval_ms;
  return std::min(ping_interval_ms, std::max<std::uint64_t>(idle_timeout_ms / 2, 1));
}

std::uint32_t Keepalive::passed_ms(std::uint32_t since_ms, std::uint64_t now_ms) {
  const std::uint32_t passed = static_cast<std::uint32_t>(now_ms) - since_ms;
  // The peer was heard while the timers are being called, which is later than what they take for now.
  return passed > static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max()) ? 0 : passed;
}

// Until the peer is idle; 0: it is.
std::uint64_t Keepalive::left_ms(const KeepaliveRules& rules, std::uint64_t now_ms) const {
  const std::uint64_t silent_ms = passed_ms(received_ms_, now_ms);
  std::uint64_t left = rules.idle_timeout_ms - std::min(silent_ms, rules.idle_timeout_ms);
  if (rules.ping_interval_ms == 0) return left;
  // As long as it has when the first ping comes in time.
  const std::uint64_t answer_ms = rules.idle_timeout_ms - std::min(rules.ping_interval_ms, rules.idle_timeout_ms / 2);
  const std::uint64_t asked_ms = is_pinged() ? passed_ms(pinged_ms_, now_ms) : 0;
  return std::max(left, answer_ms - std::min(asked_ms, answer_ms));
}

Keepalive::Action Keepalive::check(const KeepaliveRules& rules, std::uint64_t now_ms) {
  const auto now = static_cast<std::uint32_t>(now_ms);
  if (passed_ms(received_ms_, now_ms) > kLongestMs) {
    received_ms_ = now - (rules.idle_timeout_ms != 0 ? kLongestMs : static_cast<std::uint32_t>(rules.ping_interval_ms));
  }
  if (!is_pinged()) pinged_ms_ = received_ms_;

  if (rules.idle_timeout_ms != 0 && left_ms(rules, now_ms) == 0) return Action::kEnd;
  if (rules.ping_interval_ms == 0 || passed_ms(received_ms_, now_ms) < rules.effective_interval_ms())
    return Action::kNone;
  if (!is_pinged()) pinged_ms_ = now;
  return Action::kPing;
}

std::optional<std::uint64_t> Keepalive::wait_ms(const KeepaliveRules& rules, std::uint64_t now_ms) const {
  std::optional<std::uint64_t> wait;
  if (rules.ping_interval_ms != 0) {
    const std::uint64_t interval_ms = rules.effective_interval_ms();
    wait = interval_ms - passed_ms(received_ms_, now_ms) % interval_ms;
  }
  if (rules.idle_timeout_ms != 0) {
    const std::uint64_t left = left_ms(rules, now_ms);
    wait = std::min(wait.value_or(left), left);
  }
  return wait;
}

}  // namespace websockets
