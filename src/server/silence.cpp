// SPDX-License-Identifier: MIT
// The part of a connection that notices when its peer has fallen silent. Nothing is done when something is received but
// to note the time; the timer finds out when it fires, and is set anew.
#include <algorithm>
#include <limits>

#include "net/clock.h"
#include "server/connection.h"
#include "server/context.h"

namespace websockets {

void Connection::note_heard() { heard_ms_ = static_cast<std::uint32_t>(context_.now_ms_); }

void Connection::watch_silence() {
  heard_ms_ = static_cast<std::uint32_t>(monotonic_ms());
  if (!scheduled()) schedule_silence(0);
}

std::uint64_t Connection::silent_ms() const {
  // Below 0 when it was heard while the timers are being called.
  const auto passed_ms = static_cast<std::int32_t>(static_cast<std::uint32_t>(context_.now_ms_) - heard_ms_);
  return static_cast<std::uint64_t>(std::max(passed_ms, 0));
}

void Connection::on_silence() {
  if (!reading_) return;  // until it is on again
  // Nothing of it could be received: its own callback serves the others, or what it has said waits for its turn.
  if (busy_ || has_held_input()) note_heard();
  const ContextOptions& options = context_.options_;
  const auto is_idle = [&] { return options.idle_timeout_ms != 0 && silent_ms() >= options.idle_timeout_ms; };
  // Its turn may come only after the timers'.
  if (is_idle()) receive();
  if (state_ != State::kOpen || !reading_) return;
  if (is_idle()) return fail(CloseCode::kGoingAway, "nothing was received for too long");
  if (options.ping_interval_ms != 0 && silent_ms() >= options.ping_interval_ms) write(Opcode::kPing, true, {});
  schedule_silence(silent_ms());
}

// Whichever comes first: the next ping, or the end.
void Connection::schedule_silence(std::uint64_t silent_ms) {
  const ContextOptions& options = context_.options_;
  std::uint64_t wait_ms = std::numeric_limits<std::uint64_t>::max();
  if (options.ping_interval_ms != 0) wait_ms = options.ping_interval_ms - silent_ms % options.ping_interval_ms;
  if (options.idle_timeout_ms != 0) wait_ms = std::min(wait_ms, options.idle_timeout_ms - silent_ms);
  if (wait_ms != std::numeric_limits<std::uint64_t>::max()) set_timeout(wait_ms);
}

}  // namespace websockets
