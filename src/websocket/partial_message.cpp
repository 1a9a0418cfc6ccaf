// SPDX-License-Identifier: MIT
#include "websocket/partial_message.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "websocket/mask.h"

namespace websockets {

namespace {

constexpr std::uint64_t kGrowth = 16;

std::uint32_t turned_by(std::uint32_t key, std::size_t count) {
  const int bits = static_cast<int>(count % 4) * 8;
  return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}

}  // namespace

// --- The pool ---

PartialMessagePool::Pointer PartialMessagePool::take(PartialMessagePool* pool) {
  if (pool == nullptr || pool->first_ == nullptr) return Pointer(new PartialMessage(pool));
  Pointer message(std::exchange(pool->first_, pool->first_->next_spare_));
  --pool->spare_count_;
  if (message->has_buffer()) --pool->buffer_count_;
  return message;
}

void PartialMessagePool::GiveBack::operator()(PartialMessage* message) const noexcept {
  PartialMessagePool* const pool = message->pool_;
  if (pool == nullptr || pool->spare_count_ == kMaxSpares) {
    delete message;
    return;
  }
  message->clear();
  if (pool->buffer_count_ == kMaxSpareBuffers) message->gathered_.release();
  if (pool->first_ == nullptr) pool->last_ = message;
  if (message->has_buffer()) {
    ++pool->buffer_count_;
    message->next_spare_ = std::exchange(pool->first_, message);
  } else {
    message->next_spare_ = nullptr;
    (pool->first_ == nullptr ? pool->first_ : pool->last_->next_spare_) = message;
    pool->last_ = message;
  }
  ++pool->spare_count_;
}

PartialMessagePool::~PartialMessagePool() {
  while (first_ != nullptr) delete std::exchange(first_, first_->next_spare_);
}

// The rest is set by begin() and begin_control_frame().
void PartialMessage::clear() {
  header_bytes_ = 0;
  has_begun_ = false;
  position_ = Position::kHeader;
  gathered_.clear();
  if (gathered_.capacity() > kTrustedBytes) gathered_.release();
}

// --- A frame header that is split ---

std::span<const std::uint8_t> PartialMessage::extend_header(std::span<const std::uint8_t> input) {
  const std::size_t count = std::min(input.size(), header_.size() - header_bytes_);
  std::memcpy(header_.data() + header_bytes_, input.data(), count);
  header_bytes_ = static_cast<std::uint8_t>(header_bytes_ + count);
  return std::span(header_).first(header_bytes_);
}

// --- The message ---

void PartialMessage::begin(const Properties& properties) {
  properties_ = properties;
  has_begun_ = true;
  remaining_ = announced_bytes_ = 0;
  frames_ = 0;
  is_last_frame_ = false;
  utf8_.reset();
}

void PartialMessage::begin_frame(const FrameHeader& header) {
  announced_bytes_ += header.payload_bytes;
  ++frames_;
  remaining_ = header.payload_bytes;
  mask_key_ = header.mask_key;
  is_last_frame_ = header.fin;
  position_ = Position::kData;
}

std::span<std::uint8_t> PartialMessage::take(std::span<std::uint8_t>& input, std::uint64_t most) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>({remaining_, input.size(), most}));
  const std::span<std::uint8_t> piece = input.first(count);
  input = input.subspan(count);
  unmask(piece);
  return piece;
}

void PartialMessage::unmask(std::span<std::uint8_t> piece) {
  apply_mask(piece, mask_key_, 0);
  mask_key_ = turned_by(mask_key_, piece.size());
  remaining_ -= piece.size();
  if (remaining_ == 0) position_ = Position::kHeader;
}

bool PartialMessage::accept_text(std::span<const std::uint8_t> piece) {
  if (!properties_.checks_text) return true;
  return utf8_.accept(piece) && (utf8_.complete() || !is_complete());
}

void PartialMessage::gather(std::span<const std::uint8_t> piece) {
  if (piece.empty()) return;
  make_room(gathered_.size() + piece.size(), gathered_.size() + piece.size() + remaining_);
  gathered_.append(piece);
}

// At least doubles what there is: many small fragments must not cost the square of their number. What was only
// announced counts up to kGrowth times what there is, so that a large message is not moved often, and up to
// kTrustedBytes at first: a thousand clients that announce 16 MiB each and send none of it must not cost 16 GiB.
// (Memory that was taken but not written to is not resident yet, as a rule.)
void PartialMessage::make_room(std::size_t needed_bytes, std::uint64_t frame_end) {
  const std::uint64_t before = gathered_.capacity();
  if (needed_bytes <= before) return;
  std::uint64_t capacity = std::max<std::uint64_t>(
      {needed_bytes, 2 * before, std::min(frame_end, std::max<std::uint64_t>(kTrustedBytes, kGrowth * before))});
  if (is_last_frame_) capacity = std::min(capacity, frame_end);
  gathered_.reserve(static_cast<std::size_t>(capacity));
}

std::span<std::uint8_t> PartialMessage::direct_space() {
  if (position_ != Position::kData || properties_.in_chunks || remaining_ < kTrustedBytes) return {};
  make_room(gathered_.size() + kTrustedBytes, gathered_.size() + remaining_);
  const std::size_t room = gathered_.capacity() - gathered_.size();
  return {gathered_.data() + gathered_.size(), static_cast<std::size_t>(std::min<std::uint64_t>(room, remaining_))};
}

std::span<const std::uint8_t> PartialMessage::take_direct(std::size_t count) {
  const std::span<std::uint8_t> piece = {gathered_.data() + gathered_.size(), count};
  unmask(piece);
  gathered_.commit(count);
  return piece;
}

// --- A control frame that is split ---

// A data frame cannot go on before this one is complete (RFC 6455 5.4: control frames are not interleaved with the
// bytes of others), so until then its payload can stand behind that of the message.
void PartialMessage::begin_control_frame(const FrameHeader& header) {
  remaining_ = header.payload_bytes;
  mask_key_ = header.mask_key;
  control_opcode_ = header.opcode;
  control_bytes_ = static_cast<std::uint8_t>(header.payload_bytes);
  position_ = Position::kControl;
  gathered_.reserve(gathered_.size() + control_bytes_);
}

std::span<const std::uint8_t> PartialMessage::control_payload() const {
  return gathered_.bytes().subspan(gathered_.size() - control_bytes_);
}

}  // namespace websockets
