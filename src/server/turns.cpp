// SPDX-License-Identifier: MIT
// Who does what when: what could not be done when it was found, and what takes so long that the others come first.
#include <algorithm>
#include <utility>

#include "server/connection.h"
#include "server/context.h"
#include "server/http_exchange.h"

namespace websockets {

// --- The context: who is next ---

void Context::defer(Connection& connection) {
  if (connection.has_work_) return;
  with_work_.push(connection);
  connection.has_work_ = true;
  set_wake_time();  // also for a loop that a callback runs
}

void Context::turn_later(Connection& connection) {
  if (connection.has_turn_) return;
  turns_.push(connection);
  connection.has_turn_ = true;
  set_wake_time();
}

void Context::inflate_later(Connection& connection) {
  if (connection.is_to_inflate_) return;
  if (connection.inflates_first_) {
    inflating_.push_front(connection);
  } else {
    inflating_.push(connection);
  }
  connection.is_to_inflate_ = true;
  set_wake_time();
}

bool Context::run_deferred() {
  if (with_work_.empty()) return false;
  // What is added meanwhile waits for the next round, so that nobody keeps this one from ending. What is not done yet
  // stays in the list, so that a nested call finds it.
  for (std::size_t left = with_work_.size(); left > 0 && !with_work_.empty(); --left) {
    Connection& connection = with_work_.pop();
    if (connection.state_ == Connection::State::kClosed) {
      closed_.push(connection);
      continue;
    }
    connection.has_work_ = false;
    if (!with_work_.empty()) set_wake_time();  // for a loop that a callback runs
    if (!destroyed_) connection.run_deferred();
  }
  return true;
}

// Whoever is served in between waits for one of the turns, but these must not wait for too many of the others.
bool Context::take_turns() {
  constexpr std::size_t kServedPerTurn = 64;
  const std::size_t served = std::min(std::exchange(served_, 0), connection_count_);
  begin_round();
  if (!has_turns()) return false;
  for (std::size_t left = std::min(1 + served / kServedPerTurn, turns_.size()); left > 0 && !turns_.empty(); --left) {
    take_turn();
  }
  if (!inflating_.empty()) go_on_inflating();
  begin_round();
  if (has_turns()) set_wake_time();
  return true;
}

void Context::take_turn() {
  Connection& connection = turns_.pop();
  connection.has_turn_ = false;
  if (has_turns()) set_wake_time();  // for a loop that a callback runs
  round_budget_ = Budget(kQuantum);
  if (!destroyed_) connection.take_turn();
}

void Context::go_on_inflating() {
  Connection& connection = inflating_.pop();
  connection.is_to_inflate_ = false;
  if (has_turns()) set_wake_time();
  round_budget_ = Budget(kQuantum);
  if (!destroyed_) connection.go_on_inflating();
}

// --- The connection: what it does then ---

void Connection::resume_later() { is_inflating() ? context_.inflate_later(*this) : context_.turn_later(*this); }

void Connection::run_deferred() {
  if (state_ == State::kClosed) return;
  attempt([&] {
    const CloseCode failure = std::exchange(failure_, CloseCode::kNone);
    if (failure == CloseCode::kAbnormal) return terminate();
    if (failure == CloseCode::kTryAgainLater) return fail(failure, "too slow: the queue is full");
    if (failure != CloseCode::kNone) return check_handler(false);
    const bool drained = drained_ && state_ == State::kOpen && queue_.empty();
    drained_ = false;
    if (drained) check_handler(context_.handler_.on_drained(*this));
    if (state_ == State::kHttp) exchange_->run_deferred();
    if (is_inflating()) {
      if (takes_input()) resume_later();
    } else if (!has_turn_) {
      resume_input();
    }
    count_input();
    if (state_ != State::kClosed && stream_.has_buffered_input()) is_laborious() ? receive_later() : receive();
    end_turn();
  });
}

void Connection::take_turn() {
  if (state_ == State::kClosed) return;
  attempt([&] {
    const bool receives = awaits_receive_;
    awaits_receive_ = false;
    if (turn_is_over_) flush_now();
    if (!is_inflating()) resume_input();
    count_input();
    // Nobody reports what TLS has taken from the kernel already.
    if ((receives || stream_.has_buffered_input()) && wants_input()) receive();
    end_turn();
  });
}

void Connection::go_on_inflating() {
  if (state_ == State::kClosed) return;
  attempt([&] {
    inflates_first_ = true;
    resume_input();
    inflates_first_ = is_inflating();
    count_input();
    // Nobody reports what TLS has taken from the kernel already.
    if (stream_.has_buffered_input() && wants_input()) receive_later();
    end_turn();
  });
}

void Connection::end_turn() {
  if (state_ == State::kClosed) return;
  if (has_output()) flush();
  update_interest();
}

}  // namespace websockets
