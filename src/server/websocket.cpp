// SPDX-License-Identifier: MIT
// The part of a connection that speaks WebSocket.
#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "server/connection.h"
#include "server/context.h"
#include "server/http_exchange.h"
#include "websocket/prepared_message.h"

namespace websockets {
namespace {

// Up to this size a frame is queued in one piece.
constexpr std::size_t kShortPayloadBytes = 1024;

FrameHeader make_header(Opcode opcode, bool fin, std::size_t payload_bytes) {
  FrameHeader header;
  header.opcode = opcode;
  header.fin = fin;
  header.payload_bytes = payload_bytes;
  return header;
}

}  // namespace

// --- From the HTTP exchange, and what arrives ---

void Connection::open_websocket(const Subprotocol& subprotocol, std::unique_ptr<MessageCompression> compression) {
  const std::unique_ptr<HttpExchange> exchange = std::move(exchange_);
  compression_ = std::move(compression);
  state_ = State::kOpen;
  cancel_timeout();
  watch_silence();
  context_.http_connections_.remove(*this);
  context_.hub_.join(*this, subprotocol);
  check_handler(context_.handler_.on_open(*this, *exchange));
  reading_changed();
}

void Connection::consume_frames(std::span<std::uint8_t>& input, Budget& budget) {
  on_protocol_error(reader_.consume(input, context_.options_.rules, *this, budget));
}

void Connection::on_protocol_error(ProtocolError error) {
  if (error == ProtocolError::kNone) return;
  const ProtocolErrorInfo& info = describe(error);
  fail(info.close_code, info.text);
}

// Otherwise it is closed. `most`: how many further messages it may send.
bool Connection::is_within_rate(std::size_t& most) {
  most = context_.rates_.allowed(this, context_.now_ms_);
  if (most == 0) fail(CloseCode::kPolicyViolation, "too many messages");
  return most > 0;
}

bool Connection::on_messages(MessageBatch& messages) {
  const bool is_limited = context_.rates_.are_limited();
  std::size_t most = 0;
  if (is_limited && !reported_ && is_within_rate(most)) messages.limit(most);
  if (!reported_) check_handler(context_.handler_.on_messages(*this, messages));
  if (is_limited) context_.rates_.spend(this, messages.taken());
  context_.stats_.messages_received += messages.taken();
  // After a local close only the peer's Close frame is waited for.
  MessageBatch::Message ignored;
  while (reported_ && messages.next(ignored)) {
  }
  return goes_on();
}

bool Connection::on_chunk(MessageType type, std::span<const std::uint8_t> piece, bool is_last) {
  if (is_last) ++context_.stats_.messages_received;
  if (is_last && context_.rates_.are_limited() && !reported_) {
    std::size_t most;
    if (!is_within_rate(most)) return false;
    context_.rates_.spend(this, 1);
  }
  if (!reported_) check_handler(context_.handler_.on_chunk(*this, type, piece, is_last));
  return goes_on();
}

bool Connection::on_ping(std::span<const std::uint8_t> payload) {
  // A peer that pings and does not read gets no more answers than may wait for it (RFC 6455 5.5.3 lets some be left
  // out).
  if (state_ == State::kOpen) write(Opcode::kPong, true, payload);
  return goes_on();
}

bool Connection::on_pong(std::span<const std::uint8_t> payload) {
  if (wants_pongs_ && !reported_) check_handler(context_.handler_.on_pong(*this, payload));
  return goes_on();
}

void Connection::on_close_frame(CloseCode code, std::span<const std::uint8_t> reason) {
  // RFC 6455 5.5.1: the answer echoes the code.
  if (state_ == State::kOpen) queue_close_frame(code == CloseCode::kNoStatus ? CloseCode::kNone : code, {});
  finish_handshake(code, as_text(reason));
}

// Both Close frames are there or on their way: the server ends the connection first (RFC 6455 7.1.1).
void Connection::finish_handshake(CloseCode code, std::string_view reason) {
  drain(false);
  report_closed(code, reason);
}

// RFC 6455 7.1.7. The peer may be in the midst of sending.
void Connection::fail(CloseCode code, std::string_view reason) {
  if (!is_websocket()) return;
  if (state_ == State::kOpen) queue_close_frame(code, reason);
  drain(true);
  report_closed(code, reason);
}

void Connection::check_handler(bool succeeded) {
  if (!succeeded) fail(CloseCode::kInternalError, "the handler failed");
}

void Connection::report_closed(CloseCode code, std::string_view reason) {
  const bool was_open = serial() != 0;
  if (!was_open || reported_) return;
  reported_ = true;
  context_.stats_.close(code);
  context_.hub_.leave(*this);
  context_.rates_.remove(this);
  context_.handler_.on_closed(*this, code, reason);
}

// --- What the owner sends ---

// What waits for the end of the round only is sent first.
bool Connection::has_room(std::size_t bytes) {
  const auto is_full = [&] {
    return !queue_.empty() && (buffered_bytes() + bytes > context_.options_.max_backpressure_bytes ||
                               context_.memory_.is_above_high_watermark());
  };
  while (is_full() && !blocked_ && flush_now()) {  // whatever the turns of others
  }
  if (!is_full()) return true;
  ++context_.stats_.queue_full;
  return false;
}

WriteStatus Connection::write(Opcode opcode, bool fin, std::span<const std::uint8_t> payload, PinnedPayload kept) {
  if (!is_open()) return WriteStatus::kClosed;
  if (!has_room(payload.size())) return WriteStatus::kQueueFull;
  if (!is_open()) return WriteStatus::kClosed;
  const bool is_data = !is_control(opcode);
  const bool ends_message = is_data && fin;
  const bool is_whole = ends_message && !fragmenting_;
  if (is_data) fragmenting_ = !fin;
  if (compression_ == nullptr || !is_whole || !queue_compressed(opcode, payload)) {
    queue_frame(make_header(opcode, fin, payload.size()), payload, std::move(kept));
  }
  if (ends_message) {
    if (held_frames_ != nullptr) queue_held_frames();
    ++context_.stats_.messages_sent;
  }
  output_added();
  return WriteStatus::kAccepted;
}

// False: the message has to be sent as it is.
bool Connection::queue_compressed(Opcode opcode, std::span<const std::uint8_t> payload) {
  CompressionPool::Scratch compressed(compression_->pool());
  try {
    if (!compression_->compress(payload, *compressed)) return false;
  } catch (const std::bad_alloc&) {
    defer_failure(CloseCode::kAbnormal);
    throw;
  }
  FrameHeader header = make_header(opcode, true, compressed->size());
  header.rsv1 = true;
  queue_frame(header, compressed->bytes());
  return true;
}

void Connection::queue_frame(const FrameHeader& header, std::span<const std::uint8_t> payload, PinnedPayload kept) {
  std::array<std::uint8_t, kMaxFrameHeaderBytes> bytes;
  const std::size_t header_bytes = encode_frame_header(header, bytes.data());
  try {
    if (payload.size() <= kShortPayloadBytes) {
      std::uint8_t* const at = queue_.extend(context_.output_pool_, header_bytes + payload.size());
      std::copy_n(bytes.data(), header_bytes, at);
      std::copy_n(payload.data(), payload.size(), at + header_bytes);
      return;
    }
    queue_.append(context_.output_pool_, std::span(bytes).first(header_bytes));
    if (kept) {
      queue_.append_pinned(context_.output_pool_, payload, std::move(kept));
    } else {
      queue_.append(context_.output_pool_, payload);
    }
  } catch (const std::bad_alloc&) {
    defer_failure(CloseCode::kAbnormal);
    throw;
  }
}

void Connection::queue_held_frames() {
  try {
    queue_.append_all(context_.output_pool_, *held_frames_);
  } catch (const std::bad_alloc&) {
    defer_failure(CloseCode::kAbnormal);
    throw;
  }
  held_frames_.reset();
}

void Connection::drop_held_frames() {
  if (held_frames_ != nullptr) held_frames_->clear(context_.output_pool_);
  held_frames_.reset();
}

WriteStatus Connection::send(PreparedMessage& message) {
  if (!is_open()) return WriteStatus::kClosed;
  const PreparedMessage::Form& form = message.form_for(compression_.get());
  const SharedFrame& frame = form.frame;
  if (!has_room(frame->size())) return WriteStatus::kQueueFull;
  if (!is_open()) return WriteStatus::kClosed;
  if (fragmenting_) {
    if (held_frames_ == nullptr) held_frames_ = std::make_unique<OutputQueue>();
    const bool is_full = buffered_bytes() + frame->size() > context_.options_.max_backpressure_bytes;
    if (is_full && !held_frames_->empty()) {
      ++context_.stats_.queue_full;
      return WriteStatus::kQueueFull;
    }
    held_frames_->append_frame(context_.output_pool_, frame);
  } else {
    queue_.append_frame(context_.output_pool_, frame);
    output_added();
  }
  if (form.is_compressed) compression_->note_shared(message.payload());
  ++context_.stats_.messages_sent;
  return WriteStatus::kAccepted;
}

void Connection::queue_close_frame(CloseCode code, std::string_view reason) {
  std::array<std::uint8_t, kMaxControlPayloadBytes> body;
  std::size_t size = 0;
  if (code != CloseCode::kNone) {
    body[size++] = static_cast<std::uint8_t>(static_cast<unsigned>(code) >> 8U);
    body[size++] = static_cast<std::uint8_t>(static_cast<unsigned>(code) & 0xFFU);
    const std::span<const std::uint8_t> text = as_bytes(reason).first(std::min(reason.size(), body.size() - size));
    std::copy(text.begin(), text.end(), body.begin() + static_cast<std::ptrdiff_t>(size));
    size += text.size();
  }
  drop_held_frames();
  queue_frame(make_header(Opcode::kClose, true, size), std::span(body).first(size));
}

WriteStatus Connection::write_close(CloseCode code, std::string_view reason) {
  if (!is_open()) return WriteStatus::kClosed;
  queue_close_frame(code, reason);
  state_ = State::kClosing;
  set_timeout(context_.options_.close_timeout_ms);
  output_added();
  return WriteStatus::kAccepted;
}

void Connection::close(CloseCode code, std::string_view reason) {
  if (state_ == State::kHttp) return drain(true);
  if (!is_websocket() || reported_) return;
  set_reading(true);
  write_close(code, reason);
  report_closed(code == CloseCode::kNone ? CloseCode::kNoStatus : code, reason);
}

}  // namespace websockets
