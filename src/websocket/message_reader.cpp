// SPDX-License-Identifier: MIT
#include "websocket/message_reader.h"

#include <algorithm>
#include <utility>

#include "websocket/cost.h"
#include "websocket/mask.h"
#include "websocket/message_compression.h"

namespace websockets {

namespace {

// Some peers send a small first fragment, or an empty last one. Thousands of tiny fragments cost the receiver
// more work than the sender.
constexpr std::uint32_t kFreeFragments = 1024;
constexpr std::uint64_t kMinAverageFragmentBytes = 16;

// A message that becomes no more than this is not decompressed in two calls.
constexpr std::size_t kUndividedBytes = std::size_t{16} << 10U;

std::span<std::uint8_t> take_front(std::span<std::uint8_t>& input, std::uint64_t count) {
  const auto size = static_cast<std::size_t>(count);
  const std::span<std::uint8_t> front = input.first(size);
  input = input.subspan(size);
  return front;
}

// Compressing may make a message a little larger. What it becomes is limited when it is decompressed.
std::uint64_t max_compressed_bytes(std::uint64_t max_message_bytes) {
  constexpr std::uint64_t kSlackDivisor = 16;
  constexpr std::uint64_t kSlackBytes = 64;
  return max_message_bytes + max_message_bytes / kSlackDivisor + kSlackBytes;
}

ProtocolError deliver_close_frame(std::span<const std::uint8_t> bytes, MessageSink& sink) {
  CloseBody body;
  const ProtocolError error = parse_close_body(bytes, body);
  if (error == ProtocolError::kNone) sink.on_close_frame(body.code, body.reason);
  return error;
}

// `message`: the one that is in progress, or null.
ProtocolError check_length(const FrameHeader& header, const ReceiveRules& rules, const PartialMessage* message) {
  const std::uint64_t bytes_before = message == nullptr ? 0 : message->announced_bytes();
  const bool is_compressed = message == nullptr ? header.rsv1 : message->properties().is_compressed;
  const std::uint64_t max_bytes =
      is_compressed ? max_compressed_bytes(rules.max_message_bytes) : rules.max_message_bytes;
  // A sum might overflow.
  if (bytes_before > max_bytes || header.payload_bytes > max_bytes - bytes_before) {
    return ProtocolError::kMessageTooBig;
  }
  if (message != nullptr && message->frames() >= kFreeFragments &&
      (bytes_before + header.payload_bytes) / kMinAverageFragmentBytes < std::uint64_t{message->frames()} + 1) {
    return ProtocolError::kTooManyFragments;
  }
  return ProtocolError::kNone;
}

ProtocolError check_header(const FrameHeader& header, const ReceiveRules& rules, MessageSink& sink,
                           const PartialMessage* message) {
  const bool continues = header.opcode == Opcode::kContinuation;
  // RFC 7692 6: in the first frame of a message.
  if (header.rsv1 && (continues || is_control(header.opcode) || sink.compression() == nullptr)) {
    return ProtocolError::kReservedBits;
  }
  if (continues != (message != nullptr) && !is_control(header.opcode)) {
    return continues ? ProtocolError::kUnexpectedContinuation : ProtocolError::kExpectedContinuation;
  }
  if (header.header_bytes == 0) {
    return ProtocolError::kNone;
  }
  if (header.masked != rules.expect_masked) {
    return header.masked ? ProtocolError::kMaskedFrame : ProtocolError::kUnmaskedFrame;
  }
  return header.length_known && !is_control(header.opcode) ? check_length(header, rules, message)
                                                           : ProtocolError::kNone;
}

// Where one header breaks several rules, the answer must not depend on how the input was split: byte by byte, and
// within the first byte parse_frame_header() goes before check_header(), afterwards the other way round.
ProtocolError read_header(std::span<const std::uint8_t> bytes, const ReceiveRules& rules, MessageSink& sink,
                          const PartialMessage* message, FrameHeader& header, bool& complete) {
  ProtocolError error = ProtocolError::kNone;
  const HeaderStatus status = parse_frame_header(bytes, header, error);
  complete = status == HeaderStatus::kComplete;
  if (status == HeaderStatus::kInvalid && header.header_bytes == 0) {
    return error;
  }
  const ProtocolError broken_rule = check_header(header, rules, sink, message);
  return broken_rule != ProtocolError::kNone ? broken_rule : error;
}

}  // namespace

ProtocolError MessageReader::consume(std::span<std::uint8_t>& input, const ReceiveRules& rules, MessageSink& sink,
                                     Budget& budget) {
  const Feed feed{input, rules, sink, budget};
  Step step;
  while (step.go_on && (!input.empty() || is_inflating()) && !budget.is_spent()) {
    if (partial_ != nullptr) {
      step = resume(feed);
      continue;
    }
    step = take_short_messages(feed);
    if (step.go_on && !input.empty()) {
      step = take_header(feed);
    }
  }
  return step.error;
}

MessageReader::Step MessageReader::resume(const Feed& feed) {
  switch (partial_->position()) {
    case PartialMessage::Position::kHeader:
      return take_header(feed);
    case PartialMessage::Position::kData:
      return take_data(feed);
    case PartialMessage::Position::kControl:
      return take_control(feed);
    case PartialMessage::Position::kInflating:
      break;
  }
  PartialMessagePointer message = std::exchange(partial_, nullptr);
  return inflate(message->properties().type, message->gathered(), std::move(message), feed);
}

PartialMessage& MessageReader::partial(const ReceiveRules& rules) {
  if (partial_ == nullptr) {
    partial_ = PartialMessagePool::take(rules.partial_messages);
  }
  return *partial_;
}

void MessageReader::drop_unless_in_message() {
  if (!partial_->has_begun()) {
    partial_.reset();
  }
}

// --- Headers ---

MessageReader::Step MessageReader::take_header(const Feed& feed) {
  const std::size_t kept_bytes = partial_ == nullptr ? 0 : partial_->header_bytes();
  std::span<const std::uint8_t> bytes = feed.input;
  if (kept_bytes != 0) {
    bytes = partial_->extend_header(bytes);
  }
  FrameHeader header;
  bool complete = false;
  const PartialMessage* const message = is_in_message() ? partial_.get() : nullptr;
  const ProtocolError error = read_header(bytes, feed.rules, feed.sink, message, header, complete);
  if (error != ProtocolError::kNone) {
    return {error, false};
  }
  if (!complete) {
    if (kept_bytes == 0) {
      partial(feed.rules).extend_header(bytes);
    }
    take_front(feed.input, feed.input.size());
    return {};
  }
  if (kept_bytes != 0) {
    partial_->clear_header();
    drop_unless_in_message();
  }
  feed.budget.spend(kCostOfFrame);
  take_front(feed.input, header.header_bytes - kept_bytes);
  return is_control(header.opcode) ? begin_control_frame(header, feed) : begin_data_frame(header, feed);
}

// --- Messages ---

MessageReader::Step MessageReader::take_short_messages(const Feed& feed) {
  const MessageBatch::Source source{feed.input, feed.rules, chunk_mode_, feed.budget.left() / kCostOfMessage + 1};
  MessageBatch batch(source);
  const bool go_on = !batch.has_next() || feed.sink.on_messages(batch);
  feed.budget.spend(batch.taken() * kCostOfMessage);
  return {batch.error(), go_on && batch.error() == ProtocolError::kNone};
}

MessageReader::Step MessageReader::deliver(MessageType type, std::span<const std::uint8_t> payload, const Feed& feed) {
  feed.budget.spend(kCostOfMessage);
  MessageBatch batch({type, payload});
  return {ProtocolError::kNone, feed.sink.on_messages(batch)};
}

MessageReader::Step MessageReader::begin_data_frame(const FrameHeader& header, const Feed& feed) {
  if (header.opcode != Opcode::kContinuation) {
    const bool is_compressed = header.rsv1;
    const bool is_text = header.opcode == Opcode::kText;
    const bool checks_text = is_text && feed.rules.check_utf8;
    if (is_compressed) {
      feed.sink.compression()->begin_message(checks_text && !chunk_mode_);
    }
    if (header.fin && header.payload_bytes <= feed.input.size() && !(is_compressed && chunk_mode_)) {
      return take_whole_message(header, feed);
    }
    partial(feed.rules)
        .begin({.type = is_text ? MessageType::kText : MessageType::kBinary,
                .is_compressed = is_compressed,
                .in_chunks = chunk_mode_,
                .checks_text = checks_text && (!is_compressed || chunk_mode_)});
  }
  partial_->begin_frame(header);
  return take_data(feed);
}

MessageReader::Step MessageReader::take_whole_message(const FrameHeader& header, const Feed& feed) {
  const MessageType type = header.opcode == Opcode::kText ? MessageType::kText : MessageType::kBinary;
  const std::span<std::uint8_t> payload = take_front(feed.input, header.payload_bytes);
  apply_mask(payload, header.mask_key, 0);
  if (header.rsv1) {
    return inflate(type, payload, nullptr, feed);
  }
  if (is_invalid_utf8_text(type, payload, feed.rules)) {
    return {ProtocolError::kInvalidUtf8, false};
  }
  if (chunk_mode_) {
    feed.budget.spend(kCostOfMessage);
    return {ProtocolError::kNone, feed.sink.on_chunk(type, payload, true)};
  }
  return deliver(type, payload, feed);
}

MessageReader::Step MessageReader::take_data(const Feed& feed) {
  const PartialMessage::Properties& properties = partial_->properties();
  if (properties.is_compressed && properties.in_chunks) {
    return take_compressed_chunk(feed);
  }
  const std::span<const std::uint8_t> piece = partial_->take(feed.input);
  if (!partial_->accept_text(piece)) {
    return {ProtocolError::kInvalidUtf8, false};
  }
  if (!properties.in_chunks) {
    partial_->gather(piece);
  }
  return end_piece(piece, feed);
}

// The sink may want no more after any chunk. So of the input only as much is taken as surely fits into this one.
MessageReader::Step MessageReader::take_compressed_chunk(const Feed& feed) {
  constexpr std::size_t kChunkBytes = std::size_t{64} << 10U;
  MessageCompression& compression = *feed.sink.compression();
  CompressionPool::Scratch chunk(compression.pool());
  chunk->reserve(kChunkBytes);
  const std::uint64_t cost_before = compression.cost_bytes();
  std::uint64_t cost = 0;
  do {
    const std::span<const std::uint8_t> piece = partial_->take(feed.input, MessageCompression::kPieceBytes);
    const ProtocolError error =
        compression.append_inflated(piece, partial_->is_complete(), feed.rules.max_message_bytes, *chunk);
    if (error != ProtocolError::kNone) {
      return {error, false};
    }
    cost = compression.cost_bytes() - cost_before;
  } while (partial_->remaining() != 0 && !feed.input.empty() && cost < feed.budget.left() * kInflatedBytesPerUnit &&
           chunk->size() + MessageCompression::kInflatedPieceBytes <= kChunkBytes);
  feed.budget.spend(cost / kInflatedBytesPerUnit);
  if (!partial_->accept_text(chunk->bytes())) {
    return {ProtocolError::kInvalidUtf8, false};
  }
  return end_piece(chunk->bytes(), feed);
}

MessageReader::Step MessageReader::end_piece(std::span<const std::uint8_t> piece, const Feed& feed) {
  const bool is_last = partial_->is_complete();
  const PartialMessage::Properties properties = partial_->properties();
  if (properties.in_chunks) {
    if (piece.empty() && !is_last) {
      return {};
    }
    if (is_last) {
      partial_.reset();
    }
    feed.budget.spend(kCostOfMessage);
    return {ProtocolError::kNone, feed.sink.on_chunk(properties.type, piece, is_last)};
  }
  if (!is_last) {
    return {};
  }
  PartialMessagePointer message = std::exchange(partial_, nullptr);
  return properties.is_compressed ? inflate(properties.type, message->gathered(), std::move(message), feed)
                                  : deliver(properties.type, message->gathered(), feed);
}

// `payload` is a compressed message, the same one until it is complete; it lies in `holder`, or, if that is null, in
// the input.
MessageReader::Step MessageReader::inflate(MessageType type, std::span<const std::uint8_t> payload,
                                           PartialMessagePointer&& holder, const Feed& feed) {
  MessageCompression& compression = *feed.sink.compression();
  CompressionPool::Scratch message(compression.pool());
  const bool was_divided = holder != nullptr && holder->position() == PartialMessage::Position::kInflating;
  if (was_divided) {
    *message = std::move(compression.unfinished());
  }
  const std::uint64_t cost_before = compression.cost_bytes();
  const std::size_t most = std::max(feed.budget.left() * kInflatedBytesPerUnit, kUndividedBytes);
  const ProtocolError error = compression.inflate_message(payload, feed.rules.max_message_bytes, most, *message);
  // The rest of a divided message takes a whole quantum, so that the others are served before a second large one.
  feed.budget.spend(was_divided ? kQuantum : (compression.cost_bytes() - cost_before) / kInflatedBytesPerUnit);
  if (error != ProtocolError::kNone) {
    return {error, false};
  }
  if (compression.is_complete()) {
    return deliver(type, message->bytes(), feed);
  }
  compression.unfinished() = std::move(*message);
  const bool lies_in_input = holder == nullptr;
  partial_ = std::move(holder);
  if (lies_in_input) {
    partial(feed.rules).begin({.type = type, .is_compressed = true});
    partial_->gather(payload);
  }
  partial_->begin_inflating();
  return {};
}

ProtocolError MessageReader::consume_in_place(std::size_t count, const ReceiveRules& rules, MessageSink& sink,
                                              Budget& budget) {
  std::span<std::uint8_t> no_input;
  const std::span<const std::uint8_t> piece = partial_->take_direct(count);
  if (!partial_->accept_text(piece)) {
    return ProtocolError::kInvalidUtf8;
  }
  return end_piece(piece, {no_input, rules, sink, budget}).error;
}

// --- Control frames ---

MessageReader::Step MessageReader::deliver_control_frame(Opcode opcode, std::span<const std::uint8_t> payload,
                                                         const Feed& feed) {
  feed.budget.spend(kCostOfControlFrame + payload.size() / kControlBytesPerUnit);
  if (opcode == Opcode::kPing) {
    return {ProtocolError::kNone, feed.sink.on_ping(payload)};
  }
  if (opcode == Opcode::kPong) {
    feed.budget.spend(kCostOfMessage);  // it may be delivered as one is
    return {ProtocolError::kNone, feed.sink.on_pong(payload)};
  }
  return {deliver_close_frame(payload, feed.sink), false};
}

MessageReader::Step MessageReader::begin_control_frame(const FrameHeader& header, const Feed& feed) {
  if (header.payload_bytes <= feed.input.size()) {
    const std::span<std::uint8_t> payload = take_front(feed.input, header.payload_bytes);
    apply_mask(payload, header.mask_key, 0);
    return deliver_control_frame(header.opcode, payload, feed);
  }
  partial(feed.rules).begin_control_frame(header);
  return take_control(feed);
}

MessageReader::Step MessageReader::take_control(const Feed& feed) {
  partial_->append_control(partial_->take(feed.input));
  if (partial_->remaining() != 0) {
    return {};
  }
  const Step step = deliver_control_frame(partial_->control_opcode(), partial_->control_payload(), feed);
  partial_->end_control_frame();
  drop_unless_in_message();
  return step;
}

}  // namespace websockets
