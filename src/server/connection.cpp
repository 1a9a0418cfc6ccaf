// SPDX-License-Identifier: MIT
#include "server/connection.h"

#include <algorithm>
#include <new>
#include <utility>

#include "net/clock.h"
#include "net/io_batch.h"
#include "server/context.h"
#include "server/heap.h"
#include "server/http_exchange.h"

namespace websockets {
namespace {

// Then the other connections have their turn.
constexpr std::size_t kReceivedBytesPerRound = 256U << 10U;
// At a time, of who floods: the rest waits in the kernel.
constexpr std::size_t kCutReceiveBytes = 64U << 10U;
// In the measure of kWorkPerTurn.
constexpr std::uint32_t kWorkOfRequest = 300;
constexpr std::size_t kSentBytesPerRound = 256U << 10U;
// More than this is much.
constexpr std::size_t kShortOutputBytes = 128U << 10U;
// What goes to a small window becomes many small segments, which takes long. The first part of much tells.
constexpr std::size_t kFirstPartBytes = 16U << 10U;
constexpr std::uint64_t kSlowPartUs = 100;
// What is written meanwhile leaves in one go, unless it is this much.
constexpr std::size_t kCorkedBytes = 256U << 10U;
// While more of the answers to pipelined requests waits, no further one is read.
constexpr std::size_t kAnswerBytes = 64U << 10U;
// What is read while an answer is awaited, only to notice the end.
constexpr std::size_t kEarlyBytes = 16U << 10U;

}  // namespace

Connection::Connection(Context& context, Stream stream, const PeerAddress& peer)
    : Pollable(stream.fd()),
      context_(context),
      stream_(std::move(stream)),
      exchange_(std::make_unique<HttpExchange>(context.options_.request_limits)),
      peer_(peer) {}

Connection::~Connection() {
  queue_.clear(context_.output_pool_);
  context_.memory_.remove(counted_input_bytes_);
}

ContextHandler& Connection::handler() const { return context_.handler_; }

void Connection::start() {
  context_.register_descriptor(*this);
  set_timeout(context_.options_.handshake_timeout_ms);
  if (context_.options_.trusted_proxies.contains(peer_)) exchange_->begin_behind_proxy(context_.options_, peer_);
  const Admission admission = context_.counts_.admit(counted_address());
  is_counted_ = admission == Admission::kAdmitted;
  if (!is_counted_) return refuse(admission);
  update_interest();
}

void Connection::refuse(Admission admission) {
  context_.count_refusal(admission);
  is_refused_ = context_.counts_.begin_refusal();
  // Before the TLS handshake it cannot be told.
  if (!is_refused_ || (stream_.is_tls() && awaits_proxy_header())) return terminate();
  exchange_->refuse(*this, admission);
}

void Connection::leave_counts() {
  if (is_counted_) context_.counts_.leave(counted_address());
  if (is_refused_) context_.counts_.end_refusal();
  is_counted_ = is_refused_ = false;
}

// --- Input ---

// What arrives may be delivered, or thrown away.
bool Connection::takes_input() const {
  switch (state_) {
    case State::kHttp:
      return reading_ && exchange_->takes_input() && !queue_.has_file() && queue_.bytes() < kAnswerBytes;
    case State::kOpen:
    case State::kClosing:
      return reading_;
    case State::kDraining:
      return lingering_;
    case State::kClosed:
      break;
  }
  return false;
}

// What arrives is kept until the answer is there.
bool Connection::takes_early_input() const {
  const std::size_t held_bytes = held_input_ == nullptr ? 0 : held_input_->size();
  return state_ == State::kHttp && reading_ && exchange_->keeps_input() && held_bytes < kEarlyBytes;
}

bool Connection::wants_input() const {
  return !ended_ && !paused_ && (takes_early_input() || (takes_input() && !has_held_input()));
}

void Connection::on_ready(unsigned events) {
  if (state_ == State::kClosed) return;
  try {
    // An outer loop says so whether or not something waits, and nothing has left then.
    if ((events & kWritable) != 0U && !queue_.empty() && !turn_is_over_) {
      flush();
      update_interest();
    }
    if ((events & (kReadable | kHangup)) == 0U && !stream_.wants_write()) return;
    if (is_laborious()) return receive_later();
    receive();
  } catch (const std::bad_alloc&) {
    busy_ = false;
    terminate();
  }
}

bool Connection::takes_received() const {
  return !busy_ && !receives_much_ && !is_heavy_ && !stream_.is_tls() && wants_input() && !awaits_proxy_header();
}

void Connection::on_received(IoResult result, std::span<std::uint8_t> input) {
  if (state_ == State::kClosed) return;  // by a callback of another one
  receives_much_ = input.size() == IoBatch::kReceiveBytes;
  if (!input.empty()) note_heard();
  context_.stats_.bytes_received += input.size();
  try {
    if (!input.empty()) consume(input);
    count_input();
    end_receive(result.status);
    update_interest();
  } catch (const std::bad_alloc&) {
    busy_ = false;
    terminate();
  }
}

void Connection::count_input() {
  if (busy_) return;  // to be done where that began
  if (state_ != State::kHttp && !is_websocket()) {
    assembler_.drop_gathered();
    compression_.reset();
  }
  std::size_t bytes = assembler_.gathered_bytes();
  if (compression_ != nullptr) bytes += compression_->unfinished().capacity();
  if (held_input_ != nullptr) bytes += held_input_->capacity();
  if (exchange_ != nullptr) bytes += exchange_->request_bytes();
  context_.memory_.remove(counted_input_bytes_);
  context_.memory_.add(bytes);
  counted_input_bytes_ = bytes;
}

void Connection::end_receive(IoStatus status) {
  if (status != IoStatus::kDone && stream_.is_in_handshake()) context_.stats_.refuse(RefusalReason::kTls);
  if (status == IoStatus::kEnd) on_end_of_input();
  if (status == IoStatus::kFailed) terminate();
}

void Connection::receive_later() {
  awaits_receive_ = true;
  context_.turn_later(*this);
  update_interest();
}

void Connection::receive() {
  if (busy_) paused_ = true;  // a callback of this connection serves the others
  if (awaits_proxy_header() && !receive_proxy_header()) return;
  if (stream_.fell_back_from_tls()) return exchange_->refuse_plain_text(*this);
  bool goes_on = true;
  std::size_t received = 0;
  // What is only thrown away is not waited for.
  const std::size_t most = state_ == State::kDraining ? kCutReceiveBytes : kReceivedBytesPerRound;
  while (goes_on && wants_input() && received < most) {
    bool was_filled = false;
    const IoResult result = receive_once(was_filled);
    received += result.bytes;
    goes_on = was_filled || stream_.has_buffered_input();
    if (result.status == IoStatus::kWouldBlock) break;
    end_receive(result.status);
  }
  receives_much_ = received > IoBatch::kReceiveBytes;
  if (received > 0) {
    is_heavy_ = was_cut_ || received >= kReceivedBytesPerRound;
    note_heard();
  }
  context_.stats_.bytes_received += received;
  count_input();
  if (state_ == State::kClosed) return;
  if (has_output()) flush();
  if (stream_.has_buffered_input() && wants_input()) context_.work_later(*this);
  update_interest();
}

IoResult Connection::receive_once(bool& was_filled) {
  const std::span<std::uint8_t> direct = is_websocket() ? assembler_.direct_space() : std::span<std::uint8_t>();
  if (!direct.empty()) {
    keep_heap(context_.options_.rules.max_message_bytes);
    const IoResult result = stream_.receive(direct);
    was_filled = result.bytes == direct.size();
    if (result.status == IoStatus::kDone) {
      const std::uint32_t all_work = context_.work_for_one();
      std::uint32_t work = all_work;
      busy_ = true;
      on_protocol_error(assembler_.consume_in_place(result.bytes, context_.options_.rules, *this, work));
      context_.note_work(all_work - work);
      busy_ = paused_ = false;
      was_cut_ = is_inflating();
      if (was_cut_) resume_later();
    }
    return result;
  }
  std::unique_ptr<Context::ReceiveBuffer> buffer = context_.borrow_receive_buffer();
  const std::size_t most = takes_early_input() ? kEarlyBytes : is_heavy_ ? kCutReceiveBytes : buffer->size();
  const std::span<std::uint8_t> space = std::span(*buffer).first(most);
  const IoResult result = stream_.receive(space);
  was_filled = result.bytes == space.size();
  if (result.status == IoStatus::kDone) consume(std::span(*buffer).first(result.bytes));
  context_.give_back(std::move(buffer));
  return result;
}

void Connection::consume(std::span<std::uint8_t> input) {
  const std::span<std::uint8_t> rest = has_held_input() ? input : deliver(input);  // its turn is first
  if (rest.empty()) return;
  if (held_input_ == nullptr) held_input_ = std::make_unique<ByteBuffer>();
  held_input_->append(rest);
}

// Returns what may not be delivered yet.
std::span<std::uint8_t> Connection::deliver(std::span<std::uint8_t> input) {
  const auto has_more = [&] { return (!input.empty() || is_inflating()) && takes_input(); };
  const std::uint32_t all_work = context_.work_for_one();
  std::uint32_t work = all_work;
  busy_ = true;
  was_cut_ = false;
  while (has_more() && work > 0) {
    if (state_ == State::kHttp) {
      exchange_->consume(*this, input);
      work -= std::min(work, kWorkOfRequest);
    } else if (is_websocket()) {
      consume_frames(input, work);
    } else {
      input = {};
    }
  }
  context_.note_work(all_work - work);
  busy_ = paused_ = false;
  if (state_ == State::kClosed || state_ == State::kDraining) return {};
  was_cut_ = has_more();
  if (was_cut_) resume_later();
  return input;
}

void Connection::resume_later() { is_inflating() ? context_.inflate_later(*this) : context_.turn_later(*this); }

// After flow control, when the answer to a pipelined request has left, or when it has its turn again.
void Connection::resume_input() {
  if (!has_held_input() || busy_ || !takes_input()) return;
  std::unique_ptr<ByteBuffer> input;
  input.swap(held_input_);
  const std::size_t left = deliver(input == nullptr ? std::span<std::uint8_t>() : input->bytes()).size();
  if (left == 0) return;
  input->consume(input->size() - left);
  held_input_ = std::move(input);
}

void Connection::on_end_of_input() {
  ended_ = true;
  // The peer may be reading still.
  if (has_output()) flush();
  if (state_ == State::kClosed) return;
  if (queue_.empty()) return terminate();
  drain(false);
  report_closed(CloseCode::kAbnormal, {});
}

void Connection::set_reading(bool enabled) {
  if (enabled && !reading_ && state_ == State::kOpen) watch_silence();
  reading_ = enabled || state_ == State::kDraining;
  if (reading_ && has_unread_input()) context_.work_later(*this);
  update_interest();
}

// --- Output ---

void Connection::after_output() {
  if (!has_output()) return;
  if (context_.in_round() && queue_.bytes() < kCorkedBytes) {
    context_.flush_later(*this);
  } else {
    flush();
  }
}

void Connection::flush() {
  if (!context_.has_sent_much() || !has_much_output()) return flush_now();
  blocked_ = false;  // perhaps: its turn will tell
  turn_is_over_ = true;
  context_.turn_later(*this);
  update_output_interest();
}

void Connection::flush_now() {
  if (state_ == State::kClosed) return;
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
    const IoResult result = queue_.send(context_.output_pool_, stream_, most - sent);
    sent += result.bytes;
    if (!note_send(result)) return;
    if (most == kSentBytesPerRound || sent < most) continue;
    if (monotonic_us() - start_us <= kSlowPartUs) {
      most = kSentBytesPerRound;
    } else {
      context_.note_much_sent();
    }
  }
  end_flush(sent > 0);
}

bool Connection::has_much_output() const { return queue_.bytes() > kShortOutputBytes || queue_.has_file(); }

std::size_t Connection::begin_send(std::span<iovec> parts) const {
  const bool is_simple = has_output() && state_ != State::kClosed && !stream_.is_tls();
  return is_simple ? queue_.parts(parts, kShortOutputBytes) : 0;
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
  fail_later(CloseCode::kAbnormal);
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
    context_.work_later(*this);
  }
  if (state_ == State::kHttp) {
    set_timeout(exchange_->is_deciding() ? context_.options_.upgrade_timeout_ms
                                         : context_.options_.handshake_timeout_ms);
    if (has_unread_input()) context_.work_later(*this);
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
  fail_later(CloseCode::kAbnormal);
  return false;
}

// --- Endings ---

// Everything is said. `linger`: the peer may be sending still, and would be sent a reset, which may destroy what it
// has not read yet, if the descriptor was closed before it is done (RFC 9112 9.6).
void Connection::drain(bool linger) {
  state_ = State::kDraining;
  lingering_ = linger;
  reading_ = true;
  held_input_.reset();
  count_input();
  set_timeout(context_.options_.close_timeout_ms);
  if (queue_.empty()) {
    on_output_empty();
  } else {
    after_output();
  }
  update_interest();
}

void Connection::close_descriptor() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  --context_.connection_count_;
  cancel_timeout();
  context_.watcher_.change(*this, std::exchange(interest_, std::uint8_t{0}), 0);
  context_.forget_descriptor(*this);
  leave_counts();
  if (is_abandoned_) {
    stream_.abandon();
  } else {
    stream_.close();
  }
  fd_ = -1;
  queue_.clear(context_.output_pool_);
  held_input_.reset();
  count_input();
  context_.free_later(*this);
}

void Connection::terminate(CloseCode code, std::string_view reason) {
  close_descriptor();
  report_closed(code, reason);
}

void Connection::give_up() {
  if (state_ == State::kClosed) return;  // by a callback of one that was given up before
  constexpr std::string_view kWhy = "the server is short of memory";
  context_.stats_.refuse(RefusalReason::kMemory);
  try {
    if (state_ == State::kHttp) return exchange_->give_up(*this);
    // Else the peer would have to read first what it does not read.
    if (!is_websocket() || !queue_.empty()) return terminate(CloseCode::kTryAgainLater, kWhy);
    fail(CloseCode::kTryAgainLater, kWhy);
    count_input();
  } catch (const std::bad_alloc&) {
    terminate(CloseCode::kTryAgainLater, kWhy);
  }
}

void Connection::destroy(CloseCode code) {
  try {
    if (state_ == State::kOpen) queue_close_frame(code, {});
  } catch (const std::bad_alloc&) {  // then it ends without
  }
  while (!queue_.empty() && !blocked_) flush_now();  // whatever the turns of others
  terminate(code);
}

void Connection::abandon() {
  is_abandoned_ = true;
  context_.topics_.unsubscribe_all(*this);
  close_descriptor();
}

void Connection::fail_later(CloseCode code) {
  if (failure_ == CloseCode::kNone || code == CloseCode::kAbnormal) failure_ = code;
  context_.work_later(*this);
}

void Connection::do_deferred_work() {
  if (state_ == State::kClosed) return;
  try {
    const CloseCode failure = std::exchange(failure_, CloseCode::kNone);
    if (failure == CloseCode::kAbnormal) return terminate();
    if (failure == CloseCode::kTryAgainLater) return fail(failure, "too slow: the queue is full");
    if (failure != CloseCode::kNone) return check_handler(false);
    const bool drained = drained_ && state_ == State::kOpen && queue_.empty();
    drained_ = false;
    if (drained) check_handler(context_.handler_.on_drained(*this));
    if (state_ == State::kHttp) exchange_->do_deferred_work(*this);
    if (is_inflating()) {
      if (takes_input()) resume_later();
    } else if (!has_turn_) {
      resume_input();
    }
    count_input();
    if (state_ != State::kClosed && stream_.has_buffered_input()) is_laborious() ? receive_later() : receive();
    if (state_ == State::kClosed) return;
    if (has_output()) flush();
    update_interest();
  } catch (const std::bad_alloc&) {
    busy_ = false;
    terminate();
  }
}

void Connection::take_turn() {
  if (state_ == State::kClosed) return;
  try {
    const bool receives = awaits_receive_;
    awaits_receive_ = false;
    if (turn_is_over_) flush_now();
    if (!is_inflating()) resume_input();
    count_input();
    // Nobody reports what TLS has taken from the kernel already.
    if ((receives || stream_.has_buffered_input()) && wants_input()) receive();
    end_turn();
  } catch (const std::bad_alloc&) {
    busy_ = false;
    terminate();
  }
}

void Connection::go_on_inflating() {
  if (state_ == State::kClosed) return;
  try {
    inflates_first_ = true;
    resume_input();
    inflates_first_ = is_inflating();
    count_input();
    // Nobody reports what TLS has taken from the kernel already.
    if (stream_.has_buffered_input() && wants_input()) receive_later();
    end_turn();
  } catch (const std::bad_alloc&) {
    busy_ = false;
    terminate();
  }
}

void Connection::end_turn() {
  if (state_ == State::kClosed) return;
  if (has_output()) flush();
  update_interest();
}

void Connection::on_timeout() {
  try {
    if (state_ == State::kOpen) return on_silence();
    if (state_ != State::kHttp) return terminate();
    exchange_->on_timeout(*this);
  } catch (const std::bad_alloc&) {
    terminate();
  }
}

void Connection::set_timeout(std::uint64_t timeout_ms) { context_.schedule(*this, timeout_ms); }

void Connection::cancel_timeout() { context_.timers_.cancel(*this); }

}  // namespace websockets
