// SPDX-License-Identifier: MIT
// The part of a connection that notices when its peer has fallen silent. Nothing is done when something is received but
// to note the time; the timer finds out when it fires, and is set anew.
#include <optional>

#include "base/clock.h"
#include "server/connection.h"
#include "server/context.h"

namespace websockets {

void Connection::note_heard() { keepalive_.on_heard(context_.now_ms_); }

void Connection::watch_silence() {
  keepalive_.begin(monotonic_ms());
  if (!scheduled()) schedule_silence();
}

void Connection::on_silence() {
  if (!reading_) return;  // until it is on again
  // Nothing of it could be received: its own callback serves the others, or what it has said waits for its turn.
  if (busy_ || has_held_input()) note_heard();
  const KeepaliveRules& rules = context_.options_.keepalive;
  Keepalive::Action action = keepalive_.check(rules, context_.now_ms_);
  if (action == Keepalive::Action::kEnd) {
    receive();  // its turn may come only after the timers'
    if (state_ != State::kOpen || !reading_) return;
    action = keepalive_.check(rules, context_.now_ms_);
  }
  if (action == Keepalive::Action::kEnd) return fail(CloseCode::kGoingAway, "nothing was received for too long");
  if (action == Keepalive::Action::kPing) write(Opcode::kPing, true, {});
  schedule_silence();
}

// Whichever comes first: the next ping, or the end.
void Connection::schedule_silence() {
  const std::optional<std::uint64_t> wait_ms = keepalive_.wait_ms(context_.options_.keepalive, context_.now_ms_);
  if (wait_ms) set_timeout(*wait_ms);
}

}  // namespace websockets
