// SPDX-License-Identifier: MIT
#include "websocket/message_compression.h"

#include <algorithm>
#include <utility>

namespace websockets {

namespace {

// More is not kept while nothing is compressed.
constexpr std::size_t kSpareBytes = 64U << 10U;
constexpr std::size_t kFirstBytes = 1024;
constexpr std::size_t kUsualRatio = 4;
// Not 8: some that agree upon 256 bytes look back as far as 512.
constexpr std::uint8_t kMinInflateWindowBits = 9;

// Blocks that are empty take time, and yield nothing.
constexpr std::size_t kFreeBytes = 64U << 10U;
constexpr std::size_t kStepBytes = 16U << 10U;
constexpr std::uint64_t kAnyCost = std::uint64_t{1} << 62U;

// For `most` bytes and one more, which shows that there is more. It grows as if `rest` bytes followed.
std::span<std::uint8_t> space_behind(ByteBuffer& out, std::uint64_t most, std::uint64_t rest) {
  if (out.size() == out.capacity()) {
    const std::uint64_t wanted = std::max(kFirstBytes, 2 * out.capacity());
    out.reserve(static_cast<std::size_t>(std::min(out.size() + rest + 1, wanted)));
  }
  const std::uint64_t room = std::min<std::uint64_t>(std::min(most, rest) + 1, out.capacity() - out.size());
  return {out.data() + out.size(), static_cast<std::size_t>(room)};
}

}  // namespace

// --- What is shared ---

CompressionPool::Scratch::~Scratch() {
  if (bytes_.capacity() > kSpareBytes) return;
  bytes_.clear();
  pool_.spare_bytes_ = std::move(bytes_);
}

std::unique_ptr<MessageCompression> CompressionPool::negotiate(std::string_view offers, std::string& answer) {
  std::optional<DeflateAgreement> agreement = negotiate_deflate(offers, options_.wanted);
  if (!agreement) return nullptr;
  answer = std::move(agreement->answer);
  return std::make_unique<MessageCompression>(*this, agreement->parameters);
}

bool CompressionPool::is_worth_compressing(std::size_t bytes) const {
  return options_.level > 0 && bytes >= options_.min_bytes && bytes > 0;
}

DeflateSettings CompressionPool::settings_for(std::uint8_t window_bits) const {
  return {options_.level, window_bits, options_.memory_level};
}

std::unique_ptr<Inflater> CompressionPool::take_inflater() {
  if (spare_inflater_ != nullptr) return std::move(spare_inflater_);
  return std::make_unique<Inflater>(kMaxWindowBits);
}

// --- Sending ---

bool MessageCompression::compress(std::span<const std::uint8_t> message, ByteBuffer& out) {
  if (agreed_.server_no_context_takeover) return compress_shared(message, out);
  if (!pool_.is_worth_compressing(message.size())) return false;
  if (deflater_ == nullptr) deflater_ = std::make_unique<Deflater>(pool_.settings_for(window_bits()));
  deflater_->compress(message, out);
  return true;  // whether or not it is smaller: the next ones may refer to it
}

bool MessageCompression::compress_shared(std::span<const std::uint8_t> message, ByteBuffer& out) {
  if (!pool_.is_worth_compressing(message.size())) return false;
  std::unique_ptr<Deflater>& deflater = pool_.deflaters_[window_bits()];
  if (deflater == nullptr) deflater = std::make_unique<Deflater>(pool_.settings_for(window_bits()));
  const std::size_t bytes_before = out.size();
  deflater->reset();
  deflater->compress(message, out);
  return out.size() - bytes_before < message.size();
}

void MessageCompression::note_shared(std::span<const std::uint8_t> message) {
  if (deflater_ != nullptr) deflater_->learn(message);
}

// --- Receiving ---

Inflater& MessageCompression::inflater() {
  if (inflater_ == nullptr) {
    inflater_ = agreed_.client_no_context_takeover
                    ? pool_.take_inflater()
                    : std::make_unique<Inflater>(std::max(agreed_.client_max_window_bits, kMinInflateWindowBits));
  }
  return *inflater_;
}

void MessageCompression::begin_message(bool is_text) {
  utf8_.reset();
  is_text_ = is_text;
  is_complete_ = has_more_ = false;
  compressed_bytes_ = message_bytes_ = 0;
}

// Appends what comes out at once of the front of `input`, which is advanced, for a cost of some `most` bytes.
ProtocolError MessageCompression::inflate_step(std::span<const std::uint8_t>& input, std::uint64_t most,
                                               std::uint64_t max_bytes, ByteBuffer& out) {
  const std::size_t bytes_before = out.size();
  const std::span<std::uint8_t> space = space_behind(out, most, max_bytes - message_bytes_);
  std::span<std::uint8_t> left_space = space;
  const std::uint64_t step_bytes = std::min<std::uint64_t>(kStepBytes, most / kInflatedBytesPerCompressed + 1);
  std::span<const std::uint8_t> left = input.first(std::min<std::size_t>(input.size(), step_bytes));
  const std::size_t given_bytes = left.size();
  const bool is_valid = inflater().inflate(left, left_space);
  const std::size_t taken_bytes = given_bytes - left.size();
  input = input.subspan(taken_bytes);
  compressed_bytes_ += taken_bytes;
  out.commit(space.size() - left_space.size());
  message_bytes_ += out.size() - bytes_before;
  has_more_ = left_space.empty();
  if (message_bytes_ > max_bytes) return ProtocolError::kMessageTooBig;
  // Before what is wrong behind it, however it is divided.
  if (is_text_ && !utf8_.accept(out.bytes().subspan(bytes_before))) return ProtocolError::kInvalidUtf8;
  if (!is_valid) return ProtocolError::kInvalidCompression;
  const std::uint64_t useful_bytes = message_bytes_ + message_bytes_ / 16 + kFreeBytes;
  return compressed_bytes_ <= useful_bytes ? ProtocolError::kNone : ProtocolError::kWastefulCompression;
}

// Until the input is used up, or cost more than `most` bytes.
ProtocolError MessageCompression::inflate(std::span<const std::uint8_t> input, std::uint64_t most,
                                          std::uint64_t max_bytes, ByteBuffer& out) {
  const std::uint64_t cost_before = cost_bytes();
  auto error = ProtocolError::kNone;
  while ((!input.empty() || has_more_) && error == ProtocolError::kNone) {
    const std::uint64_t spent = cost_bytes() - cost_before;
    if (spent > most) break;
    error = inflate_step(input, most - spent, max_bytes, out);
  }
  return error;
}

ProtocolError MessageCompression::end_message(std::uint64_t max_bytes, ByteBuffer& out) {
  const ProtocolError error = inflate(inflater().tail(), kAnyCost, max_bytes, out);
  if (error != ProtocolError::kNone) return error;
  if (!inflater_->end_message()) return ProtocolError::kInvalidCompression;
  is_complete_ = true;
  if (agreed_.client_no_context_takeover) {
    inflater_->reset();
    pool_.spare_inflater_ = std::move(inflater_);
  }
  return !is_text_ || utf8_.complete() ? ProtocolError::kNone : ProtocolError::kInvalidUtf8;
}

ProtocolError MessageCompression::inflate_message(std::span<const std::uint8_t> compressed, std::uint64_t max_bytes,
                                                  std::uint64_t most, ByteBuffer& out) {
  if (compressed_bytes_ == 0) {
    out.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(max_bytes, kUsualRatio * compressed.size())));
  }
  const ProtocolError error = inflate(compressed.subspan(compressed_bytes_), most, max_bytes, out);
  const bool is_all_taken = compressed_bytes_ == compressed.size() && !has_more_;
  return error == ProtocolError::kNone && is_all_taken ? end_message(max_bytes, out) : error;
}

ProtocolError MessageCompression::append_inflated(std::span<const std::uint8_t> piece, bool is_last,
                                                  std::uint64_t max_bytes, ByteBuffer& out) {
  const ProtocolError error = inflate(piece, kAnyCost, max_bytes, out);
  return error == ProtocolError::kNone && is_last ? end_message(max_bytes, out) : error;
}

}  // namespace websockets
