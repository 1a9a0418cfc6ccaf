// SPDX-License-Identifier: MIT
#include "websocket/message_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "websocket/mask.h"
#include "websocket/message_compression.h"

namespace websockets {

namespace {

// A frame that announces more than this is believed only as far as its bytes arrive, and
// direct_space() is worth a system call of its own only for as much.
constexpr std::uint64_t kTrustedBytes = std::uint64_t{16} << 10U;

constexpr std::uint64_t kGrowth = 16;

// Some peers send a small first fragment, or an empty last one. Thousands of tiny fragments cost the receiver
// more work than the sender.
constexpr std::uint32_t kFreeFragments = 1024;
constexpr std::uint64_t kMinAverageFragmentBytes = 16;

// In the measure of kQuantum: of each frame, and beside that of a message, of a control frame, which may have to be
// answered, and of its payload. Bytes that are decompressed are those of MessageCompression::effort().
constexpr std::size_t kCostOfFrame = 2;
constexpr std::size_t kCostOfMessage = 10;
constexpr std::size_t kCostOfControlFrame = 5;
constexpr std::size_t kControlBytesPerUnit = 16;
constexpr std::size_t kInflatedBytesPerUnit = 16;
// A message that becomes no more than this is not decompressed in two calls.
constexpr std::size_t kUndividedBytes = std::size_t{16} << 10U;

std::span<std::uint8_t> take_front(std::span<std::uint8_t>& input, std::uint64_t count) {
  const auto size = static_cast<std::size_t>(count);
  const std::span<std::uint8_t> front = input.first(size);
  input = input.subspan(size);
  return front;
}

std::uint32_t turned_by(std::uint32_t key, std::size_t count) {
  const int bits = static_cast<int>(count % 4) * 8;
  return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}

// Compressing may make a message a little larger. What it becomes is limited when it is decompressed.
std::uint64_t max_compressed_bytes(std::uint64_t max_message_bytes) {
  constexpr std::uint64_t kSlackDivisor = 16;
  constexpr std::uint64_t kSlackBytes = 64;
  return max_message_bytes + max_message_bytes / kSlackDivisor + kSlackBytes;
}

// RFC 6455 5.5.1 and 7.4.
ProtocolError deliver_close_frame(std::span<const std::uint8_t> body, MessageSink& sink) {
  if (body.empty()) {
    sink.on_close_frame(CloseCode::kNoStatus, {});
    return ProtocolError::kNone;
  }
  if (body.size() < 2) {
    return ProtocolError::kCloseBodyTooShort;
  }
  const unsigned code = (unsigned{body[0]} << 8U) | body[1];
  if (!is_wire_close_code(code)) {
    return ProtocolError::kInvalidCloseCode;
  }
  if (!is_valid_utf8(body.subspan(2))) {
    return ProtocolError::kInvalidCloseReason;
  }
  sink.on_close_frame(static_cast<CloseCode>(code), body.subspan(2));
  return ProtocolError::kNone;
}

}  // namespace

ProtocolError MessageReader::consume(std::span<std::uint8_t>& input, const ReceiveRules& rules, MessageSink& sink,
                                     Budget& budget) {
  const Feed feed{input, rules, sink};
  Step step;
  work_left_ = budget.left();
  while (step.go_on && (!input.empty() || is_inflating()) && work_left_ > 0) {
    if (is_inflating()) {
      step = inflate_gathered(feed);
    } else if (position_ == Position::kData) {
      step = take_data(feed);
    } else if (position_ == Position::kControl) {
      step = take_control(feed);
    } else {
      if (split_header_bytes_ == 0 && !in_message_) {
        step = take_short_messages(feed);
      }
      if (step.go_on && !input.empty()) {
        step = take_header(feed);
      }
    }
  }
  budget = Budget(work_left_);
  return step.error;
}

// Where one header breaks several rules, the answer must not depend on how the input was split: byte by byte, and
// within the first byte parse_frame_header() goes before check_header(), afterwards the other way round.
ProtocolError MessageReader::read_header(std::span<const std::uint8_t> bytes, const Feed& feed, FrameHeader& header,
                                         bool& complete) const {
  ProtocolError error = ProtocolError::kNone;
  const HeaderStatus status = parse_frame_header(bytes, header, error);
  complete = status == HeaderStatus::kComplete;
  if (status == HeaderStatus::kInvalid && header.header_bytes == 0) {
    return error;
  }
  const ProtocolError broken_rule = check_header(header, feed);
  return broken_rule != ProtocolError::kNone ? broken_rule : error;
}

ProtocolError MessageReader::check_header(const FrameHeader& header, const Feed& feed) const {
  const ReceiveRules& rules = feed.rules;
  const bool continues = header.opcode == Opcode::kContinuation;
  // RFC 7692 6: in the first frame of a message.
  if (header.rsv1 && (continues || is_control(header.opcode) || feed.sink.compression() == nullptr)) {
    return ProtocolError::kReservedBits;
  }
  if (continues != in_message_ && !is_control(header.opcode)) {
    return continues ? ProtocolError::kUnexpectedContinuation : ProtocolError::kExpectedContinuation;
  }
  if (header.header_bytes == 0) {
    return ProtocolError::kNone;
  }
  if (header.masked != rules.expect_masked) {
    return header.masked ? ProtocolError::kMaskedFrame : ProtocolError::kUnmaskedFrame;
  }
  return header.length_known && !is_control(header.opcode) ? check_length(header, rules) : ProtocolError::kNone;
}

ProtocolError MessageReader::check_length(const FrameHeader& header, const ReceiveRules& rules) const {
  const std::uint64_t bytes_before = in_message_ ? message_bytes_ : 0;
  const bool is_compressed = in_message_ ? is_compressed_ : header.rsv1;
  const std::uint64_t max_bytes =
      is_compressed ? max_compressed_bytes(rules.max_message_bytes) : rules.max_message_bytes;
  // A sum might overflow.
  if (bytes_before > max_bytes || header.payload_bytes > max_bytes - bytes_before) {
    return ProtocolError::kMessageTooBig;
  }
  if (in_message_ && fragments_ >= kFreeFragments &&
      (bytes_before + header.payload_bytes) / kMinAverageFragmentBytes < std::uint64_t{fragments_} + 1) {
    return ProtocolError::kTooManyFragments;
  }
  return ProtocolError::kNone;
}

MessageReader::Step MessageReader::take_short_messages(const Feed& feed) {
  const MessageBatch::Source source{feed.input, feed.rules, chunk_mode_, work_left_ / kCostOfMessage + 1};
  MessageBatch run(source);
  const bool go_on = !run.has_next_ || feed.sink.on_messages(run);
  spend(run.taken() * kCostOfMessage);
  return {run.error_, go_on && run.error_ == ProtocolError::kNone};
}

MessageReader::Step MessageReader::deliver(MessageType type, std::span<const std::uint8_t> payload, MessageSink& sink) {
  spend(kCostOfMessage);
  MessageBatch run({type, payload});
  return {ProtocolError::kNone, sink.on_messages(run)};
}

// The payload of a compressed message, the same one until it is complete.
MessageReader::Step MessageReader::inflate(std::span<const std::uint8_t> payload, const Feed& feed) {
  MessageCompression& compression = *feed.sink.compression();
  CompressionPool::Scratch message(compression.pool());
  const bool was_divided = is_inflating();
  if (was_divided) {
    *message = std::move(compression.unfinished());
  }
  const std::uint64_t effort_before = compression.effort();
  const std::size_t most = std::max(work_left_ * kInflatedBytesPerUnit, kUndividedBytes);
  const ProtocolError error = compression.inflate_message(payload, feed.rules.max_message_bytes, most, *message);
  // The others have their turn before a second message that is large.
  spend(was_divided ? kQuantum : (compression.effort() - effort_before) / kInflatedBytesPerUnit);
  position_ = Position::kHeader;
  if (error != ProtocolError::kNone) {
    return {error, false};
  }
  if (!compression.is_complete()) {
    position_ = Position::kInflating;
    compression.unfinished() = std::move(*message);
    return {};
  }
  return deliver(type_, message->bytes(), feed.sink);
}

MessageReader::Step MessageReader::inflate_gathered(const Feed& feed) {
  ByteBuffer payload = std::move(gathered_);
  const Step step = inflate(payload.bytes(), feed);
  if (is_inflating()) {
    gathered_ = std::move(payload);
  }
  return step;
}

MessageReader::Step MessageReader::take_header(const Feed& feed) {
  const std::size_t kept_bytes = split_header_bytes_;
  std::span<const std::uint8_t> bytes = feed.input;
  if (kept_bytes != 0) {
    const std::size_t count = std::min(bytes.size(), split_header_.size() - kept_bytes);
    std::memcpy(split_header_.data() + kept_bytes, bytes.data(), count);
    bytes = std::span(split_header_).first(kept_bytes + count);
  }
  FrameHeader header;
  bool complete = false;
  const ProtocolError error = read_header(bytes, feed, header, complete);
  if (error != ProtocolError::kNone) {
    return {error, false};
  }
  if (!complete) {
    if (kept_bytes == 0) {
      std::memcpy(split_header_.data(), bytes.data(), bytes.size());
    }
    split_header_bytes_ = static_cast<std::uint8_t>(bytes.size());
    take_front(feed.input, feed.input.size());
    return {};
  }
  split_header_bytes_ = 0;
  spend(kCostOfFrame);
  take_front(feed.input, header.header_bytes - kept_bytes);
  return is_control(header.opcode) ? begin_control_frame(header, feed) : begin_data_frame(header, feed);
}

MessageReader::Step MessageReader::begin_data_frame(const FrameHeader& header, const Feed& feed) {
  const bool begins_message = header.opcode != Opcode::kContinuation;
  if (begins_message) {
    type_ = header.opcode == Opcode::kText ? MessageType::kText : MessageType::kBinary;
    in_chunks_ = chunk_mode_;
    is_compressed_ = header.rsv1;
    if (is_compressed_) {
      const bool is_text = type_ == MessageType::kText && feed.rules.check_utf8;
      feed.sink.compression()->begin_message(is_text && !in_chunks_);
    }
    if (header.fin && !in_chunks_ && header.payload_bytes <= feed.input.size()) {
      return take_whole_message(header, feed);
    }
    in_message_ = true;
    message_bytes_ = 0;
    fragments_ = 0;
    utf8_.reset();
  }
  message_bytes_ += header.payload_bytes;
  ++fragments_;
  remaining_ = header.payload_bytes;
  mask_key_ = header.mask_key;
  last_frame_ = header.fin;
  position_ = Position::kData;
  return take_data(feed);
}

MessageReader::Step MessageReader::take_whole_message(const FrameHeader& header, const Feed& feed) {
  const std::span<std::uint8_t> payload = take_front(feed.input, header.payload_bytes);
  apply_mask(payload, header.mask_key, 0);
  if (is_compressed_) {
    const Step step = inflate(payload, feed);
    if (is_inflating()) {
      gathered_.append(payload);
    }
    return step;
  }
  if (is_invalid_utf8_text(type_, payload, feed.rules)) {
    return {ProtocolError::kInvalidUtf8, false};
  }
  return deliver(type_, payload, feed.sink);
}

MessageReader::Step MessageReader::deliver_control_frame(Opcode opcode, std::span<const std::uint8_t> payload,
                                                         MessageSink& sink) {
  spend(kCostOfControlFrame + payload.size() / kControlBytesPerUnit);
  if (opcode == Opcode::kPing) {
    return {ProtocolError::kNone, sink.on_ping(payload)};
  }
  if (opcode == Opcode::kPong) {
    spend(kCostOfMessage);  // it may be delivered as one is
    return {ProtocolError::kNone, sink.on_pong(payload)};
  }
  return {deliver_close_frame(payload, sink), false};
}

MessageReader::Step MessageReader::begin_control_frame(const FrameHeader& header, const Feed& feed) {
  if (header.payload_bytes <= feed.input.size()) {
    const std::span<std::uint8_t> payload = take_front(feed.input, header.payload_bytes);
    apply_mask(payload, header.mask_key, 0);
    return deliver_control_frame(header.opcode, payload, feed.sink);
  }
  remaining_ = header.payload_bytes;
  mask_key_ = header.mask_key;
  control_opcode_ = header.opcode;
  control_bytes_ = static_cast<std::uint8_t>(header.payload_bytes);
  position_ = Position::kControl;
  gathered_.reserve(gathered_.size() + control_bytes_);
  return take_control(feed);
}

// A data frame cannot go on before this frame is complete (RFC 6455 5.4: control frames are not interleaved with the
// bytes of others), so until then its payload can stand behind that of the message.
MessageReader::Step MessageReader::take_control(const Feed& feed) {
  const std::span<std::uint8_t> piece = take_front(feed.input, std::min<std::uint64_t>(remaining_, feed.input.size()));
  unmask(piece);
  gathered_.append(piece);
  if (remaining_ != 0) {
    return {};
  }
  position_ = Position::kHeader;
  const std::size_t message_bytes = gathered_.size() - control_bytes_;
  const Step step = deliver_control_frame(control_opcode_, gathered_.bytes().subspan(message_bytes), feed.sink);
  gathered_.truncate(message_bytes);
  if (gathered_.empty()) {
    gathered_.release();
  }
  return step;
}

MessageReader::Step MessageReader::take_data(const Feed& feed) {
  if (is_compressed_ && in_chunks_) {
    return take_compressed_chunk(feed);
  }
  const std::span<std::uint8_t> piece = take_front(feed.input, std::min<std::uint64_t>(remaining_, feed.input.size()));
  unmask(piece);
  if (!check_text(piece, feed.rules)) {
    return {ProtocolError::kInvalidUtf8, false};
  }
  if (!in_chunks_) {
    gather(piece);
  }
  return end_piece(piece, feed);
}

// The sink may want no more after any chunk. So of the input only as much is taken as surely fits into this one.
MessageReader::Step MessageReader::take_compressed_chunk(const Feed& feed) {
  constexpr std::size_t kChunkBytes = std::size_t{64} << 10U;
  MessageCompression& compression = *feed.sink.compression();
  CompressionPool::Scratch chunk(compression.pool());
  chunk->reserve(kChunkBytes);
  const std::uint64_t effort_before = compression.effort();
  std::uint64_t effort = 0;
  do {
    const std::span<std::uint8_t> piece = take_front(
        feed.input, std::min<std::uint64_t>({remaining_, feed.input.size(), MessageCompression::kPieceBytes}));
    unmask(piece);
    const bool is_last = remaining_ == 0 && last_frame_;
    const ProtocolError error = compression.append_inflated(piece, is_last, feed.rules.max_message_bytes, *chunk);
    if (error != ProtocolError::kNone) {
      return {error, false};
    }
    effort = compression.effort() - effort_before;
  } while (remaining_ != 0 && !feed.input.empty() && effort < work_left_ * kInflatedBytesPerUnit &&
           chunk->size() + MessageCompression::kInflatedPieceBytes <= kChunkBytes);
  spend(effort / kInflatedBytesPerUnit);
  if (!check_text(chunk->bytes(), feed.rules)) {
    return {ProtocolError::kInvalidUtf8, false};
  }
  return end_piece(chunk->bytes(), feed);
}

void MessageReader::unmask(std::span<std::uint8_t> piece) {
  apply_mask(piece, mask_key_, 0);
  mask_key_ = turned_by(mask_key_, piece.size());
  remaining_ -= piece.size();
}

bool MessageReader::check_text(std::span<const std::uint8_t> piece, const ReceiveRules& rules) {
  const bool is_text = type_ == MessageType::kText && (!is_compressed_ || in_chunks_);
  if (!is_text || !rules.check_utf8) {
    return true;
  }
  return utf8_.accept(piece) && (utf8_.complete() || remaining_ != 0 || !last_frame_);
}

MessageReader::Step MessageReader::end_piece(std::span<const std::uint8_t> piece, const Feed& feed) {
  if (remaining_ == 0) {
    position_ = Position::kHeader;
  }
  const bool is_last = remaining_ == 0 && last_frame_;
  if (is_last) {
    in_message_ = false;
  }
  if (in_chunks_) {
    if (piece.empty() && !is_last) {
      return {};
    }
    spend(kCostOfMessage);
    return {ProtocolError::kNone, feed.sink.on_chunk(type_, piece, is_last)};
  }
  if (!is_last) {
    return {};
  }
  if (is_compressed_) {
    return inflate_gathered(feed);
  }
  const ByteBuffer message = std::move(gathered_);
  return deliver(type_, message.bytes(), feed.sink);
}

void MessageReader::gather(std::span<const std::uint8_t> piece) {
  if (piece.empty()) {
    return;
  }
  make_room(gathered_.size() + piece.size(), gathered_.size() + piece.size() + remaining_);
  gathered_.append(piece);
}

// At least doubles what there is: many small fragments must not cost the square of their number. What was only
// announced counts up to kGrowth times what there is, so that a large message is not moved often, and up to
// kTrustedBytes at first: a thousand clients that announce 16 MiB each and send none of it must not cost 16 GiB.
// (Memory that was taken but not written to is not resident yet, as a rule.)
void MessageReader::make_room(std::size_t needed_bytes, std::uint64_t frame_end) {
  const std::uint64_t before = gathered_.capacity();
  if (needed_bytes <= before) {
    return;
  }
  std::uint64_t capacity = std::max<std::uint64_t>(
      {needed_bytes, 2 * before, std::min(frame_end, std::max(kTrustedBytes, kGrowth * before))});
  if (last_frame_) {
    capacity = std::min(capacity, frame_end);
  }
  gathered_.reserve(static_cast<std::size_t>(capacity));
}

std::span<std::uint8_t> MessageReader::direct_space() {
  if (position_ != Position::kData || in_chunks_ || remaining_ < kTrustedBytes) {
    return {};
  }
  make_room(gathered_.size() + static_cast<std::size_t>(kTrustedBytes), gathered_.size() + remaining_);
  const std::size_t room = gathered_.capacity() - gathered_.size();
  return {gathered_.data() + gathered_.size(), static_cast<std::size_t>(std::min<std::uint64_t>(room, remaining_))};
}

ProtocolError MessageReader::consume_in_place(std::size_t count, const ReceiveRules& rules, MessageSink& sink,
                                              Budget& budget) {
  std::span<std::uint8_t> no_input;
  const std::span<std::uint8_t> piece = {gathered_.data() + gathered_.size(), count};
  unmask(piece);
  if (!check_text(piece, rules)) {
    return ProtocolError::kInvalidUtf8;
  }
  gathered_.commit(count);
  work_left_ = budget.left();
  const Step step = end_piece(piece, {no_input, rules, sink});
  budget = Budget(work_left_);
  return step.error;
}

}  // namespace websockets
