// SPDX-License-Identifier: MIT
#include "websocket/frame_writer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/bytes.h"
#include "websocket/mask.h"

namespace websockets {
namespace {

// Up to this size a frame is queued in one piece.
constexpr std::size_t kShortPayloadBytes = 1024;
// Of a payload that is masked at a time, while the cache still has its copy.
constexpr std::size_t kMaskedAtOnceBytes = 16U << 10U;

}  // namespace

void FrameWriter::append(OutputQueue& queue, const FrameHeader& header, std::span<const std::uint8_t> payload,
                         PinnedPayload&& pinned) const {
  if (masks()) return append_masked(queue, header, payload);
  const std::size_t header_bytes = frame_header_bytes(header);
  const bool is_short = payload.size() <= kShortPayloadBytes;
  std::uint8_t* const at = queue.extend(pool_, header_bytes + (is_short ? payload.size() : 0));
  encode_frame_header(header, at);
  if (is_short) {
    std::copy_n(payload.data(), payload.size(), at + header_bytes);
    return;
  }
  if (pinned) {
    queue.append_pinned(pool_, payload, std::move(pinned));
  } else {
    queue.append(pool_, payload);
  }
}

void FrameWriter::append_masked(OutputQueue& queue, FrameHeader header, std::span<const std::uint8_t> payload) const {
  header.masked = true;
  header.mask_key = keys_->next();
  const std::size_t header_bytes = frame_header_bytes(header);
  std::uint8_t* const at = queue.extend(pool_, header_bytes + payload.size());
  encode_frame_header(header, at);
  const std::span<std::uint8_t> copy(at + header_bytes, payload.size());
  for (std::size_t done = 0; done < payload.size(); done += kMaskedAtOnceBytes) {
    const std::size_t count = std::min(kMaskedAtOnceBytes, payload.size() - done);
    std::copy_n(payload.data() + done, count, copy.data() + done);
    apply_mask(copy.subspan(done, count), header.mask_key, done);
  }
}

void FrameWriter::append_close(OutputQueue& queue, CloseCode code, std::string_view reason) const {
  std::array<std::uint8_t, kMaxControlPayloadBytes> body;
  std::size_t size = 0;
  if (code != CloseCode::kNone) {
    body[size++] = static_cast<std::uint8_t>(static_cast<unsigned>(code) >> 8U);
    body[size++] = static_cast<std::uint8_t>(static_cast<unsigned>(code) & 0xFFU);
    const std::span<const std::uint8_t> text = as_bytes(reason).first(std::min(reason.size(), body.size() - size));
    std::copy(text.begin(), text.end(), body.begin() + static_cast<std::ptrdiff_t>(size));
    size += text.size();
  }
  FrameHeader header;
  header.opcode = Opcode::kClose;
  header.fin = true;
  header.payload_bytes = size;
  append(queue, header, std::span(body).first(size));
}

void FrameWriter::append_masked_copy(OutputQueue& queue, const SharedFrame& frame) const {
  FrameHeader header;
  ProtocolError error = ProtocolError::kNone;
  parse_frame_header(*frame, header, error);
  append_masked(queue, header, std::span(*frame).subspan(header.header_bytes));
}

}  // namespace websockets
