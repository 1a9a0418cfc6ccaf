// SPDX-License-Identifier: MIT
#include "websocket/session.h"

#include <new>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "websocket/message_compression.h"
#include "websocket/prepared_message.h"

namespace websockets {
namespace {

FrameHeader make_header(Opcode opcode, bool fin, std::size_t payload_bytes) {
  FrameHeader header;
  header.payload_bytes = payload_bytes;
  header.opcode = opcode;
  header.fin = fin;
  return header;
}

}  // namespace

// The sink of one call of the reader, which has the time of that call: the session keeps none.
class Session::Sink final : public MessageSink {
 public:
  Sink(Session& session, std::uint64_t now_ms) : session_(session), now_ms_(now_ms) {}

  bool on_messages(MessageBatch& messages) override { return session_.on_messages(messages, now_ms_); }
  bool on_chunk(MessageType type, std::span<const std::uint8_t> piece, bool is_last) override {
    return session_.on_chunk(type, piece, is_last, now_ms_);
  }
  bool on_ping(std::span<const std::uint8_t> payload) override { return session_.on_ping(payload); }
  bool on_pong(std::span<const std::uint8_t> payload) override { return session_.on_pong(payload); }
  void on_close_frame(CloseCode code, std::span<const std::uint8_t> reason) override {
    session_.on_close_frame(code, as_text(reason));
  }
  MessageCompression* compression() override { return session_.compression_.get(); }

  void fail_for(ProtocolError error) {
    if (error == ProtocolError::kNone) return;
    const ProtocolErrorInfo& info = describe(error);
    session_.fail(info.close_code, info.text);
  }

 private:
  Session& session_;
  std::uint64_t now_ms_;
};

Session::Session(const SessionRules& rules, Carrier& carrier, std::unique_ptr<MessageCompression> compression)
    : rules_(rules), carrier_(carrier), compression_(std::move(compression)) {}

Session::~Session() { drop_held_frames(); }

void Session::start(std::uint64_t now_ms) {
  keepalive_.begin(now_ms);
  schedule_keepalive(now_ms);
}

// --- Receiving ---

// What the reader reads from and writes into is dropped only when no call of it is on the stack any more.
template <typename Function>
void Session::run_reader(Function function) {
  in_reader_ = true;
  try {
    function();
  } catch (const std::bad_alloc&) {
    in_reader_ = false;
    defer_failure(CloseCode::kAbnormal);
    throw;
  }
  in_reader_ = false;
  if (state_ == State::kClosed) drop_input();
}

void Session::receive(std::span<std::uint8_t>& input, Budget& budget, std::uint64_t now_ms) {
  run_reader([&] {
    Sink sink(*this, now_ms);
    if (wants_input()) sink.fail_for(reader_.consume(input, rules_.receive, sink, budget));
  });
}

std::span<std::uint8_t> Session::direct_space() {
  std::span<std::uint8_t> space;
  or_break([&] { space = wants_input() ? reader_.direct_space() : space; });
  return space;
}

void Session::received_in_place(std::size_t count, Budget& budget, std::uint64_t now_ms) {
  run_reader([&] {
    Sink sink(*this, now_ms);
    sink.fail_for(reader_.consume_in_place(count, rules_.receive, sink, budget));
  });
}

// False: the peer has sent too many messages, and the session was failed. `most`: how many further ones it may send.
bool Session::is_within_rate(std::size_t& most, std::uint64_t now_ms) {
  most = rules_.rates.allowed(this, now_ms);
  if (most == 0) fail(CloseCode::kPolicyViolation, "too many messages");
  return most > 0;
}

bool Session::on_messages(MessageBatch& messages, std::uint64_t now_ms) {
  const bool is_limited = rules_.rates.are_limited();
  std::size_t most = 0;
  if (is_limited && !close_reported_ && is_within_rate(most, now_ms)) messages.limit(most);
  if (!close_reported_) check_handler(rules_.handler.on_messages(*this, messages));
  if (is_limited) rules_.rates.spend(this, messages.taken());
  rules_.stats.messages_received += messages.taken();
  // After a local close only the peer's Close frame is waited for.
  MessageBatch::Message ignored;
  while (close_reported_ && messages.next(ignored)) {
  }
  return goes_on();
}

bool Session::on_chunk(MessageType type, std::span<const std::uint8_t> piece, bool is_last, std::uint64_t now_ms) {
  if (is_last) ++rules_.stats.messages_received;
  if (is_last && rules_.rates.are_limited() && !close_reported_) {
    std::size_t most;
    if (!is_within_rate(most, now_ms)) return false;
    rules_.rates.spend(this, 1);
  }
  if (!close_reported_) check_handler(rules_.handler.on_chunk(*this, type, piece, is_last));
  return goes_on();
}

bool Session::on_ping(std::span<const std::uint8_t> payload) {
  // A peer that pings and does not read gets no more answers than may wait for it (RFC 6455 5.5.3 lets some be left
  // out).
  if (state_ == State::kOpen) send(Opcode::kPong, true, payload);
  return goes_on();
}

bool Session::on_pong(std::span<const std::uint8_t> payload) {
  if (notifies_pongs_ && !close_reported_) check_handler(rules_.handler.on_pong(*this, payload));
  return goes_on();
}

// The peer's Close frame: it is answered, unless it is the answer. Then both are there or on their way, and the server
// ends the connection first (RFC 6455 5.5.1, 7.1.1).
void Session::on_close_frame(CloseCode code, std::string_view reason) {
  // RFC 6455 5.5.1: the answer echoes the code.
  if (state_ == State::kOpen) queue_close_frame(code == CloseCode::kNoStatus ? CloseCode::kNone : code, {});
  end(rules_.role() == Role::kServer ? Carrier::End::kAfterOutput : Carrier::End::kAwaitPeer, code, reason);
}

void Session::on_end_of_input() {
  if (state_ == State::kClosed) return;
  end(carrier_.output().empty() ? Carrier::End::kNow : Carrier::End::kAfterOutput, CloseCode::kAbnormal, {});
}

void Session::set_reading(bool enabled, std::uint64_t now_ms) {
  if (state_ == State::kClosed || enabled == reading_) return;
  if (!enabled) {
    reading_ = false;
    return carrier_.reading_changed();
  }
  if (state_ == State::kOpen) {
    keepalive_.begin(now_ms);
    if (!has_deadline_) schedule_keepalive(now_ms);
  }
  switch_reading_on();
}

void Session::switch_reading_on() {
  reading_ = true;
  carrier_.reading_changed();
}

// Does nothing within a callback: run_reader() calls it afterwards.
void Session::drop_input() {
  if (in_reader_) return;
  reader_.drop_gathered();
  compression_.reset();
}

// --- Keepalive ---

void Session::set_deadline(std::uint64_t wait_ms) {
  has_deadline_ = true;
  carrier_.set_deadline(wait_ms);
}

// The deadline is that of the next ping or of the idle timeout, whichever comes first.
void Session::schedule_keepalive(std::uint64_t now_ms) {
  const std::optional<std::uint64_t> wait_ms = keepalive_.wait_ms(rules_.keepalive, now_ms);
  if (wait_ms) set_deadline(*wait_ms);
}

void Session::on_deadline(std::uint64_t now_ms, bool could_not_receive) {
  has_deadline_ = false;
  if (state_ == State::kClosed) return;
  if (state_ == State::kClosing) return terminate();
  if (!reading_) return;  // until it is on again
  if (could_not_receive || has_pending_input()) note_received(now_ms);
  Keepalive::Action action = keepalive_.check(rules_.keepalive, now_ms);
  if (action == Keepalive::Action::kEnd) {
    carrier_.receive_now();  // the loop may serve the carrier only after the deadlines
    if (state_ != State::kOpen || !reading_) return;
    action = keepalive_.check(rules_.keepalive, now_ms);
  }
  if (action == Keepalive::Action::kEnd) return fail(CloseCode::kGoingAway, "nothing was received for too long");
  if (action == Keepalive::Action::kPing) send(Opcode::kPing, true, {});
  schedule_keepalive(now_ms);
}

// --- Sending ---

// A call that throws may leave half a frame in the queue: the session is broken then, and nothing follows it.
template <typename Function>
void Session::or_break(Function function) {
  try {
    function();
  } catch (const std::bad_alloc&) {
    defer_failure(CloseCode::kAbnormal);
    throw;
  }
}

// Output that only waits for the end of the batch is sent first.
bool Session::has_room(const OutputQueue& output, std::size_t bytes) {
  const auto is_full = [&] {
    return !output.empty() && (output.bytes() + held_frame_bytes() + bytes > rules_.max_backpressure_bytes ||
                               rules_.memory.is_above_high_watermark());
  };
  for (bool may_take_more = true; is_full(); may_take_more = carrier_.flush_now()) {
    if (may_take_more) continue;
    ++rules_.stats.queue_full;
    return false;
  }
  return true;
}

WriteStatus Session::send(Opcode opcode, bool fin, std::span<const std::uint8_t> payload, PinnedPayload pinned) {
  if (!is_open()) return WriteStatus::kClosed;
  OutputQueue& output = carrier_.output();
  if (!has_room(output, payload.size())) return WriteStatus::kQueueFull;
  if (!is_open()) return WriteStatus::kClosed;
  const bool is_data = !is_control(opcode);
  const bool ends_message = is_data && fin;
  const bool is_whole = ends_message && !fragmenting_;
  if (is_data) fragmenting_ = !fin;
  or_break([&] {
    if (compression_ == nullptr || !is_whole || !queue_compressed(opcode, payload)) {
      rules_.frames.append(output, make_header(opcode, fin, payload.size()), payload, std::move(pinned));
    }
    if (ends_message && held_frames_ != nullptr) queue_held_frames();
  });
  if (ends_message) ++rules_.stats.messages_sent;
  carrier_.output_added();
  return WriteStatus::kAccepted;
}

// False: the message has to be sent uncompressed.
bool Session::queue_compressed(Opcode opcode, std::span<const std::uint8_t> payload) {
  CompressionPool::Scratch compressed(compression_->pool());
  if (!compression_->compress(payload, *compressed)) return false;
  FrameHeader header = make_header(opcode, true, compressed->size());
  header.rsv1 = true;
  rules_.frames.append(carrier_.output(), header, compressed->bytes());
  return true;
}

void Session::queue_held_frames() {
  carrier_.output().append_all(rules_.frames.pool(), *held_frames_);
  held_frames_.reset();
}

void Session::drop_held_frames() {
  if (held_frames_ != nullptr) held_frames_->clear(rules_.frames.pool());
  held_frames_.reset();
}

WriteStatus Session::send(PreparedMessage& message) {
  if (!is_open()) return WriteStatus::kClosed;
  const PreparedMessage::Frame& prepared = message.frame_for(compression_.get());
  const SharedFrame& frame = prepared.bytes;
  OutputQueue& output = carrier_.output();
  if (!has_room(output, frame->size())) return WriteStatus::kQueueFull;
  if (!is_open()) return WriteStatus::kClosed;
  if (fragmenting_) {
    if (held_frames_ == nullptr) held_frames_ = std::make_unique<OutputQueue>();
    const bool is_full = buffered_bytes() + frame->size() > rules_.max_backpressure_bytes;
    if (is_full && !held_frames_->empty()) {
      ++rules_.stats.queue_full;
      return WriteStatus::kQueueFull;
    }
    rules_.frames.append_shared(*held_frames_, frame);
  } else {
    rules_.frames.append_shared(output, frame);
    carrier_.output_added();
  }
  if (prepared.is_compressed) compression_->note_shared(message.payload());
  ++rules_.stats.messages_sent;
  return WriteStatus::kAccepted;
}

void Session::queue_close_frame(CloseCode code, std::string_view reason) {
  drop_held_frames();
  if (is_broken()) return;  // the Close frame could stand in the middle of another one
  or_break([&] { rules_.frames.append_close(carrier_.output(), code, reason); });
}

WriteStatus Session::send_close(CloseCode code, std::string_view reason) {
  if (!is_open()) return WriteStatus::kClosed;
  queue_close_frame(code, reason);
  state_ = State::kClosing;
  set_deadline(rules_.close_timeout_ms);
  carrier_.output_added();
  return WriteStatus::kAccepted;
}

std::size_t Session::received_bytes() const {
  const std::size_t unfinished_bytes = compression_ == nullptr ? 0 : compression_->unfinished().capacity();
  return reader_.gathered_bytes() + unfinished_bytes;
}

// --- Endings ---

void Session::close(CloseCode code, std::string_view reason) {
  if (state_ == State::kClosed || close_reported_) return;
  if (!reading_) switch_reading_on();
  send_close(code, reason);
  report_closed(code == CloseCode::kNone ? CloseCode::kNoStatus : code, reason);
}

void Session::terminate(CloseCode code, std::string_view reason) { end(Carrier::End::kNow, code, reason); }

// The peer may be in the midst of sending.
void Session::fail(CloseCode code, std::string_view reason) {
  if (state_ == State::kClosed) return;
  if (state_ == State::kOpen) queue_close_frame(code, reason);
  end(Carrier::End::kLinger, code, reason);
}

void Session::check_handler(bool succeeded) {
  if (!succeeded) fail(CloseCode::kInternalError, "the handler failed");
}

void Session::destroy(CloseCode code) {
  if (state_ == State::kClosed) return;
  try {
    if (state_ == State::kOpen) queue_close_frame(code, {});
  } catch (const std::bad_alloc&) {  // then it ends without
  }
  while (carrier_.flush_now()) {
  }
  terminate(code);
}

void Session::abandon() {
  state_ = State::kClosed;
  if (!close_reported_) carrier_.session_closed();
  close_reported_ = true;
  rules_.rates.remove(this);
  drop_held_frames();
  drop_input();
}

void Session::end(Carrier::End how, CloseCode code, std::string_view reason) {
  state_ = State::kClosed;
  drop_held_frames();
  drop_input();
  carrier_.end(is_broken() ? Carrier::End::kNow : how);
  report_closed(code, reason);
}

void Session::report_closed(CloseCode code, std::string_view reason) {
  if (close_reported_) return;
  close_reported_ = true;
  rules_.stats.close(code);
  rules_.rates.remove(this);
  carrier_.session_closed();
  rules_.handler.on_closed(*this, code, reason);
}

void Session::defer_failure(CloseCode code) {
  if (failure_ == CloseCode::kNone || code == CloseCode::kAbnormal) failure_ = code;
  carrier_.defer();
}

void Session::run_deferred() {
  if (state_ == State::kClosed) return;
  const CloseCode failure = std::exchange(failure_, CloseCode::kNone);
  if (failure == CloseCode::kAbnormal) return terminate();
  if (failure == CloseCode::kTryAgainLater) return fail(failure, "too slow: the queue is full");
  if (failure != CloseCode::kNone) return check_handler(false);
  const bool has_drained =
      drain_pending_ && (notifies_progress_ || (state_ == State::kOpen && carrier_.output().empty()));
  drain_pending_ = false;
  if (has_drained) check_handler(rules_.handler.on_drained(*this));
}

}  // namespace websockets
