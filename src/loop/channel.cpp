// SPDX-License-Identifier: MIT
#include "loop/channel.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/clock.h"
#include "loop/loop.h"
#include "net/io_batch.h"

namespace websockets {
namespace {

// --- Costs, in the unit of Budget ---

// A system call, or a record of TLS.
constexpr std::size_t kCostOfReceive = 25;
// To receive bytes, copy, unmask and look at them.
constexpr std::size_t kReceivedBytesPerUnit = 64;

// --- Input ---

// After that much, the other channels are served.
constexpr std::size_t kReceivedBytesPerRound = 256U << 10U;
// A bulk channel, and one that only discards its input, receives at most this much at once; the kernel holds the rest.
constexpr std::size_t kBulkReceiveBytes = 64U << 10U;
// Any other channel may receive this much at once, however little budget is left: a message of 64 KiB comes in one
// piece.
constexpr std::size_t kLeastReceiveBytes = 68U << 10U;
// Of Reading::kAhead.
constexpr std::size_t kReadAheadBytes = 16U << 10U;
constexpr std::size_t kPreambleBytes = 1024;
// Of close_gently(), which waits for nothing.
constexpr std::size_t kDiscardBytes = 16U << 10U;
constexpr std::size_t kMostDiscards = 256;

// --- Output ---

// Output of more bytes is much: it waits for a quantum once much was sent in the round.
constexpr std::size_t kShortOutputBytes = 128U << 10U;
// Output to a small window becomes many small segments, which takes long: the time of the first part of much output
// tells. It is some 15 µs elsewhere, and from 60 µs on there, where the rest would take as long for each byte.
constexpr std::size_t kFirstPartBytes = 16U << 10U;
constexpr std::uint64_t kSlowPartUs = 40;
// The cork holds output until the end of the batch, unless it is this much.
constexpr std::size_t kCorkLimitBytes = 256U << 10U;
constexpr std::size_t kPartsPerCall = 64;

// --- Time ---

constexpr std::uint64_t kLateMs = 1000;
constexpr std::uint64_t kSecondChanceMs = 1000;

void charge_receive(Stream& stream, std::size_t bytes, Budget& budget) {
  budget.spend(kCostOfReceive * (1 + stream.take_record_count()) + bytes / kReceivedBytesPerUnit);
}

// By one system call.
IoResult send_front(OutputQueue& output, OutputPool& pool, Stream& stream, std::size_t most) {
  IoResult result;
  if (output.begins_with_file()) {
    const OutputQueue::FileRange range = output.front_file();
    result = stream.send_file(range.file, range.offset,
                              static_cast<std::size_t>(std::min<std::uint64_t>(range.bytes, most)));
    // A file that became shorter than what its header promised: the channel is of no use any more.
    if (result.status == IoStatus::kEnd) return {IoStatus::kFailed, 0};
  } else {
    std::array<iovec, kPartsPerCall> parts;
    result = stream.send(std::span(parts).first(output.gather(parts, most)));
  }
  if (result.status == IoStatus::kDone) output.consume(pool, result.bytes);
  return result;
}

}  // namespace

Channel::Channel(Loop& loop, Stream stream, ChannelHandler& handler)
    : Pollable(stream.fd()), loop_(loop), handler_(handler), stream_(std::move(stream)) {
  loop.begin(*this);
}

Channel::~Channel() {
  output_.clear(loop_.output_pool());
  loop_.memory().remove(counted_input_bytes_);
}

void Channel::set_uncounted() {
  is_counted_ = false;
  loop_.leave_out_of_count();
}

void Channel::start() {
  loop_.add(*this);
  // With the end of a client's handshake, more may have arrived.
  if (stream_.has_buffered_input()) defer();
}

// --- Input ---

// Input may be received to be delivered, to be discarded, or ahead, to be kept.
bool Channel::wants_input() const {
  if (input_ended_ || readable_in_callback_ || state_ == State::kClosed) return false;
  if (takes_input()) return !has_pending_input();
  return state_ == State::kOpen && reading_ == Reading::kAhead && !is_broken_ &&
         (pending_input_ == nullptr || pending_input_->size() < kReadAheadBytes);
}

void Channel::on_ready(unsigned events) {
  if (state_ == State::kClosed) return;
  or_lose([&] {
    // An outer loop says so whether or not something waits, and nothing has left then.
    if ((events & kWritable) != 0U && !output_.empty() && !output_is_spent_) {
      flush();
      update_interest();
    }
    if ((events & (kReadable | kHangup)) == 0U && !stream_.wants_write()) return;
    if (waits_for_quantum()) return receive_later();
    Scheduler<Channel>::Share share(loop_.scheduler(), *this);
    receive(share.budget);
  });
}

bool Channel::takes_received() const {
  return !in_callback_ && !receives_much_ && !is_bulk() && !stream_.is_tls() && wants_input() &&
         !handler_.expects_preamble();
}

void Channel::on_received(IoResult result, std::span<std::uint8_t> input) {
  if (state_ == State::kClosed) return;  // by a callback of another one
  receives_much_ = input.size() == IoBatch::kReceiveBytes;
  loop_.stats().bytes_received += input.size();
  or_lose([&] {
    Scheduler<Channel>::Share share(loop_.scheduler(), *this);
    if (!input.empty()) consume(input, share.budget);
    charge_receive(stream_, input.size(), share.budget);
    count_input();
    end_receive(result);
    update_interest();
  });
}

void Channel::receive_later() {
  awaits_receive_ = true;
  loop_.enqueue(*this);
  update_interest();
}

void Channel::receive_now() {
  Scheduler<Channel>::Share share(loop_.scheduler(), *this);
  receive(share.budget);
}

void Channel::receive(Budget& budget) {
  if (in_callback_) readable_in_callback_ = true;  // a callback of this channel serves the others
  if (handler_.expects_preamble() && !receive_preamble(budget)) {
    set_bulk(budget.is_spent());
    return;
  }
  if (stream_.fell_back_from_tls()) {
    handler_.on_plain_text();
    return update_interest();
  }
  receive_input(budget);
  if (state_ == State::kClosed) return;
  if (has_output()) flush();
  if (stream_.has_buffered_input() && wants_input()) defer();
  update_interest();
}

// It is before the TLS handshake, of which nothing may be taken. False: more is needed, or the budget is spent, or the
// channel ends.
bool Channel::receive_preamble(Budget& budget) {
  while (handler_.expects_preamble()) {
    if (budget.is_spent()) return false;
    std::array<std::uint8_t, kPreambleBytes> bytes;
    const IoResult result = stream_.peek(bytes);
    if (result.status == IoStatus::kWouldBlock) return false;
    if (result.status != IoStatus::kDone) {
      lose();
      return false;
    }
    const std::size_t taken = handler_.on_preamble(std::span(bytes).first(result.bytes));
    charge_receive(stream_, 2 * result.bytes, budget);
    if (state_ == State::kClosed) return false;
    stream_.skip(taken);
    if (state_ != State::kOpen) return false;
  }
  return true;
}

void Channel::receive_input(Budget& budget) {
  bool goes_on = true;
  std::size_t received = 0;
  const std::size_t most = state_ == State::kDraining ? kBulkReceiveBytes : kReceivedBytesPerRound;
  while (goes_on && !budget.is_spent() && wants_input() && received < most) {
    bool was_filled = false;
    const IoResult result = receive_once(was_filled, budget);
    charge_receive(stream_, result.bytes, budget);
    received += result.bytes;
    goes_on = was_filled || stream_.has_buffered_input();
    if (result.status == IoStatus::kWouldBlock) break;
    end_receive(result);
  }
  receives_much_ = received > IoBatch::kReceiveBytes;
  if (received > 0) {
    // Input held by flow control is resumed by reading, so it does not make the flow bulk.
    const bool was_cut = takes_input() && (has_pending_input() || (budget.is_spent() && goes_on));
    set_bulk(was_cut || received >= kReceivedBytesPerRound);
  }
  loop_.stats().bytes_received += received;
  count_input();
}

IoResult Channel::receive_once(bool& was_filled, Budget& budget) {
  const std::size_t affordable = std::max(budget.left() * kReceivedBytesPerUnit, kLeastReceiveBytes);
  if (std::span<std::uint8_t> direct; has_direct_space_ && !(direct = handler_.direct_space()).empty()) {
    direct = direct.first(std::min(direct.size(), affordable));
    const IoResult result = stream_.receive(direct);
    was_filled = result.bytes == direct.size();
    if (result.status == IoStatus::kDone) {
      in_callback_ = true;
      note_state(handler_.on_received_in_place(result.bytes, budget));
      in_callback_ = readable_in_callback_ = false;
      if (is_pending_) resume_later();
    }
    return result;
  }
  std::unique_ptr<Loop::ReceiveBuffer> buffer = loop_.borrow_receive_buffer();
  const std::size_t most = reading_ == Reading::kAhead ? kReadAheadBytes
                           : is_bulk()                 ? kBulkReceiveBytes
                                                       : std::min(buffer->size(), affordable);
  const std::span<std::uint8_t> space = std::span(*buffer).first(most);
  const IoResult result = stream_.receive(space);
  was_filled = result.bytes == space.size();
  if (result.status == IoStatus::kDone) consume(std::span(*buffer).first(result.bytes), budget);
  loop_.give_back(std::move(buffer));
  return result;
}

void Channel::consume(std::span<std::uint8_t> input, Budget& budget) {
  const std::span<std::uint8_t> rest =
      has_pending_input() ? input : deliver(input, budget);  // what is pending comes first
  if (rest.empty()) return;
  if (pending_input_ == nullptr) pending_input_ = std::make_unique<ByteBuffer>();
  pending_input_->append(rest);
}

void Channel::note_state(InputState state) {
  is_pending_ = state.is_pending;
  has_direct_space_ = state.has_direct_space;
  holds_bytes_ = state.holds_bytes;
}

// Returns what may not be delivered yet. The handler's own callbacks may serve the others meanwhile.
std::span<std::uint8_t> Channel::deliver(std::span<std::uint8_t> input, Budget& budget) {
  const auto has_more = [&] { return (!input.empty() || is_pending_) && state_ == State::kOpen && takes_input(); };
  in_callback_ = true;
  while (has_more() && !budget.is_spent()) note_state(handler_.on_input(input, budget));
  in_callback_ = readable_in_callback_ = false;
  if (state_ != State::kOpen) return {};
  if (has_more()) resume_later();
  return input;
}

// After flow control, when the answer to a pipelined request has left, or when it has its quantum.
void Channel::resume_input(Budget& budget) {
  if (!has_pending_input() || in_callback_ || state_ != State::kOpen || !takes_input()) return;
  std::unique_ptr<ByteBuffer> input;
  input.swap(pending_input_);
  const std::size_t left = deliver(input == nullptr ? std::span<std::uint8_t>() : input->bytes(), budget).size();
  if (left == 0) return;
  input->consume(input->size() - left);
  pending_input_ = std::move(input);
}

void Channel::resume_later() { is_pending_ ? loop_.enqueue_exclusive(*this) : loop_.enqueue(*this); }

void Channel::count_input() {
  if (in_callback_) return;  // to be done where that began
  std::size_t bytes = holds_bytes_ ? handler_.held_bytes() : 0;
  if (pending_input_ != nullptr) bytes += pending_input_->capacity();
  if (bytes == counted_input_bytes_) return;
  loop_.memory().remove(counted_input_bytes_);
  loop_.memory().add(bytes);
  counted_input_bytes_ = bytes;
}

void Channel::end_receive(IoResult result) {
  if (result.status == IoStatus::kDone || result.status == IoStatus::kWouldBlock) return;
  if (stream_.is_in_handshake()) handler_.on_handshake_failed();
  if (result.status == IoStatus::kFailed) {
    error_ = static_cast<std::uint8_t>(result.error);
    return lose();
  }
  input_ended_ = true;
  // The peer may be reading still.
  if (has_output()) flush();
  if (state_ == State::kOpen) return handler_.on_end_of_input();
  if (state_ == State::kDraining) output_.empty() ? close() : drain(Linger::kNo);
}

// --- Output ---

void Channel::output_added() {
  if (!has_output()) return;
  if (loop_.in_round() && output_.bytes() < kCorkLimitBytes) {
    loop_.cork(*this);
  } else {
    flush();
  }
}

void Channel::flush() {
  if (!loop_.has_sent_much() || !has_much_output()) {
    Budget budget;
    send(budget);
    return;
  }
  write_blocked_ = false;  // perhaps: its quantum will tell
  output_is_spent_ = true;
  loop_.enqueue(*this);
  update_output_interest();
}

bool Channel::flush_now() {
  Budget budget;
  return !write_blocked_ && send(budget);
}

// True: the kernel may take more at once, but the budget is spent.
bool Channel::send(Budget& budget) {
  constexpr std::size_t kBytesPerUnit = Scheduler<Channel>::kSentBytesPerUnit;
  if (state_ == State::kClosed) return false;
  write_blocked_ = output_is_spent_ = false;
  bool is_first_part = has_much_output();
  const std::uint64_t start_us = is_first_part ? monotonic_us() : 0;
  std::size_t sent = 0;
  while (has_output()) {
    if (budget.is_spent()) {
      output_is_spent_ = true;
      loop_.enqueue(*this);
      break;
    }
    const std::size_t most = is_first_part ? kFirstPartBytes - sent : budget.left() * kBytesPerUnit;
    const IoResult result = send_front(output_, loop_.output_pool(), stream_, most);
    sent += result.bytes;
    budget.spend(result.bytes / kBytesPerUnit);
    if (!note_send(result)) return false;
    if (!is_first_part || sent < kFirstPartBytes) continue;
    is_first_part = false;
    if (monotonic_us() - start_us <= kSlowPartUs) continue;
    loop_.scheduler().charge_slow_send();
    budget.spend(budget.left());
  }
  end_flush(sent > 0);
  update_output_interest();
  return output_is_spent_;
}

bool Channel::has_much_output() const {
  return output_.bytes() > kShortOutputBytes || (sends_files_ && output_.has_file());
}

std::size_t Channel::begin_send(std::span<iovec> parts) const {
  const bool is_simple = has_output() && state_ != State::kClosed && !stream_.is_tls();
  return is_simple ? output_.gather_all(parts, kShortOutputBytes) : 0;
}

void Channel::on_sent(IoResult result) {
  output_.consume(loop_.output_pool(), result.bytes);
  if (note_send(result)) end_flush(result.bytes > 0);
}

// False: the channel is lost.
bool Channel::note_send(IoResult result) {
  loop_.note_sent(result.bytes);
  write_blocked_ = result.status == IoStatus::kWouldBlock;
  if (result.status == IoStatus::kDone || write_blocked_) return true;
  output_.clear(loop_.output_pool());
  error_ = static_cast<std::uint8_t>(result.error);
  break_off();
  return false;
}

void Channel::break_off() {
  if (state_ == State::kClosed) return;
  is_broken_ = true;
  if (state_ == State::kOpen) handler_.on_broken();
  defer();
}

void Channel::end_flush(bool has_sent) {
  const bool is_empty = output_.empty();
  if (!has_sent && !is_empty) return;
  if (state_ == State::kOpen) return handler_.on_output_progress(is_empty);
  if (state_ == State::kDraining) drain_further();
}

// The peer has time again. Once all output has left, nothing will be added to it.
void Channel::drain_further() {
  set_deadline(handler_.linger_timeout_ms(loop_.linger_timeout_ms()));
  if (!output_.empty()) return;
  if (linger_ == Linger::kNo || input_ended_) return close();
  if (linger_ == Linger::kPeerFirst || was_shut_down_) return;
  stream_.shutdown_send();
  was_shut_down_ = true;
}

// --- Interest ---

void Channel::update_interest() {
  // An outer loop that is told of the change may cause another one, or the end of this channel.
  for (bool changed = true; changed && state_ != State::kClosed;) {
    // Input that has to wait for its quantum need not be reported until then; an outer loop is spared the change.
    const bool is_put_off = awaits_receive_ && !loop_.announces_each();
    changed = change_interest((wants_input() && !is_put_off ? kReadable : 0U) | output_interest());
  }
}

// Only what is watched for writing: tells no outer loop, so that it calls nobody.
void Channel::update_output_interest() {
  if (state_ != State::kClosed) change_interest((interest() & kReadable) | output_interest());
}

unsigned Channel::output_interest() const {
  return write_blocked_ || (stream_.wants_write() && wants_input() && !awaits_receive_) ? kWritable : 0U;
}

bool Channel::change_interest(unsigned wanted) {
  if (wanted == interest()) return false;
  if (loop_.watch(*this, wanted)) return true;
  break_off();
  return false;
}

// --- Deferred, and by the scheduler ---

void Channel::defer() { loop_.defer(*this); }

void Channel::run_deferred() {
  if (state_ == State::kClosed) return;
  or_lose([&] {
    if (is_broken_) return lose();
    if (state_ == State::kOpen) handler_.run_deferred();
    if (state_ == State::kOpen && takes_input() && has_pending_input()) {
      if (is_pending_) {
        resume_later();
      } else if (!loop_.scheduler().is_queued(*this)) {
        Scheduler<Channel>::Share share(loop_.scheduler(), *this);
        resume_input(share.budget);
      }
    }
    count_input();
    if (state_ != State::kClosed && stream_.has_buffered_input()) waits_for_quantum() ? receive_later() : receive_now();
    end_run();
  });
}

bool Channel::run(Budget& budget, bool is_exclusive) {
  if (state_ == State::kClosed) return false;
  or_lose([&] {
    const bool receives = awaits_receive_;
    awaits_receive_ = false;
    if (output_is_spent_) {
      // Where input waits, too, each has a half, so that neither keeps the other from the quantum.
      Budget part(receives || has_pending_input() ? budget.left() / 2 : budget.left());
      const std::uint32_t given = part.left();
      send(part);
      budget.spend(given - part.left());
    }
    if (is_exclusive || !is_pending_) resume_input(budget);
    count_input();
    // Nobody reports what TLS has taken from the kernel already.
    if ((receives || stream_.has_buffered_input()) && wants_input()) {
      is_exclusive || budget.is_spent() ? receive_later() : receive(budget);
    }
    // It may be in the midst of a message, and has had its quantum for something else.
    if (is_pending_ && takes_input()) resume_later();
    end_run();
  });
  return is_pending_ && takes_input();
}

void Channel::end_run() {
  if (state_ == State::kClosed) return;
  if (has_output()) flush();
  update_interest();
}

// --- Time ---

void Channel::set_deadline(std::uint64_t wait_ms) {
  if (state_ == State::kClosed) return;
  had_second_chance_ = false;
  loop_.schedule(*this, wait_ms);
}

void Channel::cancel_deadline() { loop_.cancel(*this); }

bool Channel::takes_second_chance() {
  if (had_second_chance_ || loop_.now_ms() < deadline_ms() + kLateMs) return false;
  set_deadline(kSecondChanceMs);
  had_second_chance_ = true;
  return true;
}

void Channel::on_timeout() {
  or_lose([&] {
    if (state_ == State::kOpen) return handler_.on_deadline();
    if (!takes_second_chance()) lose();
  });
}

// --- Endings ---

void Channel::drain(Linger linger) {
  if (state_ == State::kClosed) return;
  state_ = State::kDraining;
  linger_ = linger;
  pending_input_.reset();
  is_pending_ = has_direct_space_ = false;
  count_input();
  drain_further();
  if (!output_.empty()) output_added();
  update_interest();
}

void Channel::close() { close(false); }

void Channel::close_gently() {
  if (state_ == State::kClosed) return;
  stream_.shutdown_send();
  std::array<std::uint8_t, kDiscardBytes> some;
  for (std::size_t left = kMostDiscards; left > 0 && stream_.receive(some).status == IoStatus::kDone; --left) {
  }
  close();
}

void Channel::abandon() { close(true); }

void Channel::close(bool is_abandoned) {
  if (std::exchange(state_, State::kClosed) == State::kClosed) return;
  loop_.remove(*this);
  cancel_deadline();
  if (is_abandoned) {
    stream_.abandon();
  } else {
    stream_.close();
  }
  fd_ = -1;
  output_.clear(loop_.output_pool());
  pending_input_.reset();
  is_pending_ = false;
  count_input();
  handler_.on_closed();
  loop_.release_later(*this);
}

void Channel::lose() {
  if (state_ == State::kClosed) return;
  close();
  handler_.on_lost();
}

void Channel::shed() {
  if (state_ == State::kClosed) return;  // by a callback of one that was shed before
  handler_.on_shed();
  count_input();
}

}  // namespace websockets
