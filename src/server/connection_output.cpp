// SPDX-License-Identifier: MIT
// The part of a connection that sends what is queued, and says what it has to be watched for.
#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.h"
#include "server/connection.h"
#include "server/context.h"
#include "server/http_exchange.h"

namespace websockets {
namespace {

// Then the other connections have their turn.
constexpr std::size_t kSentBytesPerRound = 256U << 10U;
// More than this is much.
constexpr std::size_t kShortOutputBytes = 128U << 10U;
// What goes to a small window becomes many small segments, which takes long. The first part of much tells.
constexpr std::size_t kFirstPartBytes = 16U << 10U;
constexpr std::uint64_t kSlowPartUs = 100;
constexpr std::size_t kPartsPerCall = 64;
// What is written meanwhile leaves in one go, unless it is this much.
constexpr std::size_t kCorkLimitBytes = 256U << 10U;

}  // namespace

void Connection::output_added() {
  if (!has_output()) return;
  if (context_.in_round() && queue_.bytes() < kCorkLimitBytes) {
    context_.cork(*this);
  } else {
    flush();
  }
}

void Connection::flush() {
  if (!context_.has_sent_much() || !has_much_output()) {
    flush_now();
    return;
  }
  blocked_ = false;  // perhaps: its turn will tell
  turn_is_over_ = true;
  context_.turn_later(*this);
  update_output_interest();
}

// True: the kernel may take more at once.
bool Connection::flush_now() {
  if (state_ == State::kClosed) return false;
  blocked_ = turn_is_over_ = false;
  const bool is_much = has_much_output();
  const std::uint64_t start_us = is_much ? monotonic_us() : 0;
  std::size_t sent = 0;
  std::size_t most = is_much ? kFirstPartBytes : kSentBytesPerRound;
  while (has_output()) {
    // More than that is not taken from the others' time.
    if (sent >= most) {
      turn_is_over_ = true;
      context_.turn_later(*this);
      break;
    }
    const IoResult result = send_front(most - sent);
    sent += result.bytes;
    if (!note_send(result)) return false;
    if (most == kSentBytesPerRound || sent < most) continue;
    if (monotonic_us() - start_us <= kSlowPartUs) {
      most = kSentBytesPerRound;
    } else {
      context_.note_much_sent();
    }
  }
  end_flush(sent > 0);
  return turn_is_over_;
}

// By one system call.
IoResult Connection::send_front(std::size_t most) {
  IoResult result;
  if (queue_.begins_with_file()) {
    const OutputQueue::FileRange range = queue_.front_file();
    result = stream_.send_file(range.file, range.offset,
                               static_cast<std::size_t>(std::min<std::uint64_t>(range.bytes, most)));
    // A file that became shorter than what its header promised: the connection is of no use any more.
    if (result.status == IoStatus::kEnd) return {IoStatus::kFailed, 0};
  } else {
    std::array<iovec, kPartsPerCall> parts;
    result = stream_.send(std::span(parts).first(queue_.gather(parts, most)));
  }
  if (result.status == IoStatus::kDone) queue_.consume(context_.output_pool_, result.bytes);
  return result;
}

// Only HTTP sends files.
bool Connection::has_much_output() const {
  return queue_.bytes() > kShortOutputBytes || (exchange_ != nullptr && queue_.has_file());
}

std::size_t Connection::begin_send(std::span<iovec> parts) const {
  const bool is_simple = has_output() && state_ != State::kClosed && !stream_.is_tls();
  return is_simple ? queue_.gather_all(parts, kShortOutputBytes) : 0;
}

void Connection::on_sent(IoResult result) {
  queue_.consume(context_.output_pool_, result.bytes);
  if (note_send(result)) end_flush(result.bytes > 0);
}

// False: the connection is lost.
bool Connection::note_send(IoResult result) {
  context_.note_sent(result.bytes);
  blocked_ = result.status == IoStatus::kWouldBlock;
  if (result.status == IoStatus::kDone || blocked_) return true;
  queue_.clear(context_.output_pool_);
  defer_failure(CloseCode::kAbnormal);
  return false;
}

void Connection::end_flush(bool has_sent) {
  if (has_sent) on_output_progress();
  if (queue_.empty()) on_output_empty();
  update_output_interest();
}

void Connection::on_output_progress() {
  if (state_ == State::kClosing || state_ == State::kDraining) set_timeout(context_.options_.close_timeout_ms);
  if (state_ == State::kHttp) set_timeout(context_.options_.send_timeout_ms);
}

void Connection::on_output_empty() {
  if (wants_drained_ && state_ == State::kOpen) {
    drained_ = true;
    context_.defer(*this);
  }
  if (state_ == State::kHttp) {
    set_timeout(exchange_->timeout_ms());
    if (has_unread_input()) context_.defer(*this);
  }
  if (state_ != State::kDraining) return;
  if (!lingering_ || ended_) return close_descriptor();
  if (!was_shut_down_) stream_.shutdown_send();
  was_shut_down_ = true;
}

void Connection::update_interest() {
  // An outer loop that is told of the change may cause another one, or the end of this connection.
  for (bool changed = true; changed && state_ != State::kClosed;) {
    // What has to wait for its turn need not be reported until then; an outer loop is spared the change.
    const bool is_put_off = awaits_receive_ && !context_.watcher_.announces_each();
    changed = change_interest((wants_input() && !is_put_off ? kReadable : 0U) | output_interest());
  }
}

void Connection::update_output_interest() {
  if (state_ != State::kClosed) change_interest((interest_ & kReadable) | output_interest());
}

unsigned Connection::output_interest() const {
  return blocked_ || (stream_.wants_write() && wants_input() && !awaits_receive_) ? kWritable : 0U;
}

bool Connection::change_interest(unsigned wanted) {
  if (wanted == interest_) return false;
  const unsigned before = std::exchange(interest_, static_cast<std::uint8_t>(wanted));
  if (context_.watcher_.change(*this, before, wanted)) return true;
  defer_failure(CloseCode::kAbnormal);
  return false;
}

}  // namespace websockets
