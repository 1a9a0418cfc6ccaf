// SPDX-License-Identifier: MIT
#include "server/connection.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "base/malloc_tuning.h"
#include "net/io_batch.h"
#include "server/context.h"
#include "server/http_exchange.h"

namespace websockets {
namespace {

// Then the other connections have their turn.
constexpr std::size_t kReceivedBytesPerRound = 256U << 10U;
// At a time, of who floods: the rest waits in the kernel.
constexpr std::size_t kCutReceiveBytes = 64U << 10U;
// At a time, of anybody else, however little work is left: a message of 64 KiB is received in one piece.
constexpr std::size_t kLeastReceiveBytes = 68U << 10U;
// In the measure of kQuantum: a system call, or a record of TLS; what is received, copied, unmasked and looked at.
constexpr std::size_t kCostOfReceive = 25;
constexpr std::size_t kReceivedBytesPerUnit = 64;
// While more of the answers to pipelined requests waits, no further one is read.
constexpr std::size_t kAnswerBytes = 64U << 10U;
// What is read while an answer is awaited, only to notice the end.
constexpr std::size_t kEarlyBytes = 16U << 10U;
// Of a header of the PROXY protocol, at a time.
constexpr std::size_t kPeekedBytes = 1024;
constexpr std::uint64_t kLateMs = 1000;
constexpr std::uint64_t kSecondChanceMs = 1000;

}  // namespace

Connection::Connection(Context& context, Stream stream, const PeerAddress& peer)
    : Pollable(stream.fd()),
      context_(context),
      stream_(std::move(stream)),
      exchange_(std::make_unique<HttpExchange>(*this, context.rules_)),
      peer_(peer) {}

Connection::~Connection() {
  queue_.clear(context_.output_pool_);
  drop_held_frames();
  context_.memory_.remove(counted_input_bytes_);
}

Handler& Connection::handler() const { return context_.handler_; }

void Connection::start() {
  context_.register_descriptor(*this);
  set_timeout(context_.options_.handshake_timeout_ms);
  exchange_->start();
  ticket_ = context_.admission_.admit(peer_);
  if (!ticket_) return refuse();
  update_interest();
}

bool Connection::restart(Watcher& watcher) { return interest_ == 0 || watcher.watch_in_own_loop(*this, interest_); }

// It was not admitted.
void Connection::refuse() {
  const AdmissionVerdict verdict = context_.admission_.check(peer_);
  ticket_ = context_.admission_.admit_refused();
  // Before the TLS handshake there is no way to send an HTTP answer.
  if (ticket_ && !stream_.is_in_handshake()) return exchange_->refuse(verdict);
  context_.refuse(reason_of(verdict), {&peer_});
  terminate();
}

// --- For the exchange ---

void Connection::defer() { context_.defer(*this); }

void Connection::reading_changed() {
  count_input();
  if (has_unread_input()) context_.defer(*this);
  update_interest();
}

void Connection::end(End how) {
  if (how == End::kNow) return terminate();
  drain(how != End::kAfterOutput);
}

bool Connection::on_http(const Request& request) { return context_.handler_.on_http(*this, request); }

bool Connection::on_upgrade(const std::shared_ptr<PendingUpgrade>& pending) {
  return context_.handler_.on_upgrade(*this, *exchange_, pending);
}

bool Connection::set_peer(const PeerAddress& peer) {
  if (peer == peer_) return true;
  peer_ = peer;
  ticket_ = {};  // first: it is not one more
  ticket_ = context_.admission_.admit(peer);
  if (ticket_) return true;
  refuse();
  return false;
}

// --- Input ---

// What arrives may be delivered, or thrown away.
bool Connection::takes_input() const {
  // An answer to it could be taken for the rest of one that was cut off.
  if (failure_ == CloseCode::kAbnormal) return false;
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
  attempt([&] {
    // An outer loop says so whether or not something waits, and nothing has left then.
    if ((events & kWritable) != 0U && !queue_.empty() && !turn_is_over_) {
      flush();
      update_interest();
    }
    if ((events & (kReadable | kHangup)) == 0U && !stream_.wants_write()) return;
    if (is_laborious()) return receive_later();
    receive();
  });
}

bool Connection::takes_received() const {
  return !busy_ && !receives_much_ && !is_heavy_ && !stream_.is_tls() && wants_input() && !awaits_proxy_header();
}

void Connection::on_received(IoResult result, std::span<std::uint8_t> input) {
  if (state_ == State::kClosed) return;  // by a callback of another one
  receives_much_ = input.size() == IoBatch::kReceiveBytes;
  if (!input.empty()) note_heard();
  context_.stats_.bytes_received += input.size();
  attempt([&] {
    Context::WorkShare work(context_);
    if (!input.empty()) consume(input, work.budget);
    spend_on_receiving(input.size(), work.budget);
    count_input();
    end_receive(result.status);
    update_interest();
  });
}

void Connection::count_input() {
  if (busy_) return;  // to be done where that began
  if (state_ != State::kHttp && !is_websocket()) {
    reader_.drop_gathered();
    compression_.reset();
  }
  std::size_t bytes = reader_.gathered_bytes();
  if (compression_ != nullptr) bytes += compression_->unfinished().capacity();
  if (held_input_ != nullptr) bytes += held_input_->capacity();
  if (exchange_ != nullptr) bytes += exchange_->request_bytes();
  context_.memory_.remove(counted_input_bytes_);
  context_.memory_.add(bytes);
  counted_input_bytes_ = bytes;
}

void Connection::end_receive(IoStatus status) {
  if (status != IoStatus::kDone && stream_.is_in_handshake()) context_.refuse(RefusalReason::kTls, {&peer_});
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
  Context::WorkShare work(context_);
  if (awaits_proxy_header() && !receive_proxy_header(work.budget)) {
    is_heavy_ = work.budget.is_spent();
    return;
  }
  if (stream_.fell_back_from_tls()) return exchange_->refuse_plain_text();
  if (!receive_input(work.budget)) return;
  if (has_output()) flush();
  if (stream_.has_buffered_input() && wants_input()) context_.defer(*this);
  update_interest();
}

bool Connection::awaits_proxy_header() const { return state_ == State::kHttp && exchange_->awaits_proxy_header(); }

// It is before the TLS handshake, of which nothing may be taken. False: more is needed, or the budget is spent, or the
// connection ends.
bool Connection::receive_proxy_header(Budget& budget) {
  auto status = ProxyHeaderParser::Status::kIncomplete;
  while (status == ProxyHeaderParser::Status::kIncomplete) {
    if (budget.is_spent()) return false;
    std::array<std::uint8_t, kPeekedBytes> bytes;
    const IoResult result = stream_.peek(bytes);
    if (result.status == IoStatus::kWouldBlock) return false;
    if (result.status != IoStatus::kDone) {
      terminate();
      return false;
    }
    std::span<const std::uint8_t> input = std::span(bytes).first(result.bytes);
    status = exchange_->read_proxy_header(input);
    stream_.skip(result.bytes - input.size());
    spend_on_receiving(2 * result.bytes, budget);
  }
  return exchange_->end_proxy_header(status);
}

// False: the connection is closed.
bool Connection::receive_input(Budget& budget) {
  bool goes_on = true;
  std::size_t received = 0;
  // What is only thrown away is not waited for.
  const std::size_t most = state_ == State::kDraining ? kCutReceiveBytes : kReceivedBytesPerRound;
  while (goes_on && !budget.is_spent() && wants_input() && received < most) {
    bool was_filled = false;
    const IoResult result = receive_once(was_filled, budget);
    spend_on_receiving(result.bytes, budget);
    received += result.bytes;
    goes_on = was_filled || stream_.has_buffered_input();
    if (result.status == IoStatus::kWouldBlock) break;
    end_receive(result.status);
  }
  receives_much_ = received > IoBatch::kReceiveBytes;
  if (received > 0) {
    // What is held for another reason waits for that, not for a turn.
    const bool was_cut = takes_input() && (has_held_input() || (budget.is_spent() && goes_on));
    is_heavy_ = was_cut || received >= kReceivedBytesPerRound;
    note_heard();
  }
  context_.stats_.bytes_received += received;
  count_input();
  return state_ != State::kClosed;
}

void Connection::spend_on_receiving(std::size_t bytes, Budget& budget) {
  budget.spend(kCostOfReceive * (1 + stream_.take_record_count()) + bytes / kReceivedBytesPerUnit);
}

IoResult Connection::receive_once(bool& was_filled, Budget& budget) {
  const std::size_t affordable = std::max(budget.left() * kReceivedBytesPerUnit, kLeastReceiveBytes);
  std::span<std::uint8_t> direct = is_websocket() ? reader_.direct_space() : std::span<std::uint8_t>();
  if (!direct.empty()) {
    direct = direct.first(std::min(direct.size(), affordable));
    raise_trim_threshold(context_.options_.rules.max_message_bytes);
    const IoResult result = stream_.receive(direct);
    was_filled = result.bytes == direct.size();
    if (result.status == IoStatus::kDone) {
      busy_ = true;
      on_protocol_error(reader_.consume_in_place(result.bytes, context_.options_.rules, *this, budget));
      busy_ = paused_ = false;
      if (is_inflating()) resume_later();
    }
    return result;
  }
  std::unique_ptr<Context::ReceiveBuffer> buffer = context_.borrow_receive_buffer();
  const std::size_t most = takes_early_input() ? kEarlyBytes
                           : is_heavy_         ? kCutReceiveBytes
                                               : std::min(buffer->size(), affordable);
  const std::span<std::uint8_t> space = std::span(*buffer).first(most);
  const IoResult result = stream_.receive(space);
  was_filled = result.bytes == space.size();
  if (result.status == IoStatus::kDone) consume(std::span(*buffer).first(result.bytes), budget);
  context_.give_back(std::move(buffer));
  return result;
}

void Connection::consume(std::span<std::uint8_t> input, Budget& budget) {
  const std::span<std::uint8_t> rest = has_held_input() ? input : deliver(input, budget);  // its turn is first
  if (rest.empty()) return;
  if (held_input_ == nullptr) held_input_ = std::make_unique<ByteBuffer>();
  held_input_->append(rest);
}

// Returns what may not be delivered yet. Its own callbacks may serve the others meanwhile.
std::span<std::uint8_t> Connection::deliver(std::span<std::uint8_t> input, Budget& budget) {
  const auto has_more = [&] { return (!input.empty() || is_inflating()) && takes_input(); };
  busy_ = true;
  while (has_more() && !budget.is_spent()) {
    if (state_ == State::kHttp) {
      exchange_->consume(input, budget);
    } else if (is_websocket()) {
      consume_frames(input, budget);
    } else {
      input = {};
    }
  }
  busy_ = paused_ = false;
  if (state_ == State::kClosed || state_ == State::kDraining) return {};
  if (has_more()) resume_later();
  return input;
}

// After flow control, when the answer to a pipelined request has left, or when it has its turn again.
void Connection::resume_input() {
  if (!has_held_input() || busy_ || !takes_input()) return;
  std::unique_ptr<ByteBuffer> input;
  input.swap(held_input_);
  Context::WorkShare work(context_);
  const std::size_t left = deliver(input == nullptr ? std::span<std::uint8_t>() : input->bytes(), work.budget).size();
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
  if (reading_ && has_unread_input()) context_.defer(*this);
  update_interest();
}

// --- Endings ---

// Everything is said. `linger`: the peer may be sending still, and would be sent a reset, which may destroy what it
// has not read yet, if the descriptor was closed before it is done (RFC 9112 9.6).
void Connection::drain(bool linger) {
  state_ = State::kDraining;
  if (exchange_ != nullptr) exchange_->on_ended();
  lingering_ = linger;
  reading_ = true;
  held_input_.reset();
  count_input();
  set_timeout(context_.options_.close_timeout_ms);
  if (queue_.empty()) {
    on_output_empty();
  } else {
    output_added();
  }
  update_interest();
}

void Connection::close_descriptor() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  if (exchange_ != nullptr) exchange_->on_ended();
  --context_.connection_count_;
  cancel_timeout();
  context_.watcher_.change(*this, std::exchange(interest_, std::uint8_t{0}), 0);
  context_.forget_descriptor(*this);
  ticket_ = {};
  if (is_abandoned_) {
    stream_.abandon();
  } else {
    stream_.close();
  }
  fd_ = -1;
  queue_.clear(context_.output_pool_);
  drop_held_frames();
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
  context_.refuse(RefusalReason::kMemory, {&peer_});
  try {
    if (state_ == State::kHttp) {
      exchange_->shed();
      return count_input();
    }
    // Else the peer would have to read first what it does not read.
    if (!is_websocket() || !queue_.empty()) return terminate(CloseCode::kTryAgainLater, kWhy);
    fail(CloseCode::kTryAgainLater, kWhy);
    count_input();
  } catch (const std::bad_alloc&) {
    terminate(CloseCode::kTryAgainLater, kWhy);
  }
}

void Connection::destroy(CloseCode code) {
  if (state_ == State::kClosed) return;  // whoever has closed it, and been interrupted by this, reports it
  try {
    if (state_ == State::kOpen) queue_close_frame(code, {});
  } catch (const std::bad_alloc&) {  // then it ends without
  }
  if (!blocked_) {
    while (flush_now()) {  // whatever the turns of others
    }
  }
  terminate(code);
}

void Connection::abandon() {
  is_abandoned_ = true;
  if (serial() != 0 && !reported_) context_.hub_.leave(*this);
  context_.rates_.remove(this);
  close_descriptor();
}

void Connection::defer_failure(CloseCode code) {
  if (failure_ == CloseCode::kNone || code == CloseCode::kAbnormal) failure_ = code;
  context_.defer(*this);
}

void Connection::on_timeout() {
  try {
    if (state_ == State::kOpen) return on_silence();
    if (takes_second_chance()) return;
    if (state_ != State::kHttp) return terminate();
    if (stream_.is_in_handshake()) {
      context_.refuse(RefusalReason::kTls, {&peer_});
      return terminate();
    }
    exchange_->on_deadline();
  } catch (const std::bad_alloc&) {
    terminate();
  }
}

// A timer that is late means that nobody was served for so long, whatever the peer has done in time.
bool Connection::takes_second_chance() {
  if (had_second_chance_ || context_.now_ms_ < deadline_ms() + kLateMs) return false;
  set_timeout(kSecondChanceMs);
  had_second_chance_ = true;
  return true;
}

void Connection::set_timeout(std::uint64_t timeout_ms) {
  had_second_chance_ = false;
  context_.schedule(*this, timeout_ms);
}

void Connection::cancel_timeout() { context_.timers_.cancel(*this); }

}  // namespace websockets
