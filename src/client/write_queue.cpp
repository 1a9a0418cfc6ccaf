// SPDX-License-Identifier: MIT
#include "client/write_queue.h"

#include <utility>

#include "websocket/session.h"

namespace websockets {

WriteStatus WriteQueue::add(Opcode opcode, bool fin, std::span<const std::uint8_t> payload) {
  if (is_closing_) return WriteStatus::kClosed;
  // With the longest header for each, the session has room for all of them.
  const std::size_t bytes = kMaxFrameHeaderBytes + payload.size();
  const bool is_full = bytes_ + bytes > most_bytes_ || memory_.is_above_high_watermark();
  if (is_full && !frames_.empty()) return WriteStatus::kQueueFull;
  frames_.push_back({opcode, fin, {payload.begin(), payload.end()}});
  bytes_ += bytes;
  memory_.add(bytes);
  if (!is_control(opcode)) fragmenting_ = !fin;
  return WriteStatus::kAccepted;
}

WriteStatus WriteQueue::add_close(CloseCode code, std::string_view reason) {
  if (is_closing_) return WriteStatus::kClosed;
  close_reason_ = reason;
  close_code_ = code;
  is_closing_ = true;
  return WriteStatus::kAccepted;
}

void WriteQueue::send_by(Session& session) {
  const std::vector<Frame> frames = std::move(frames_);
  const bool closes = is_closing_;
  clear();
  for (const Frame& frame : frames) {
    if (session.send(frame.opcode, frame.fin, frame.payload) != WriteStatus::kQueueFull) continue;
    return session.defer_failure(CloseCode::kTryAgainLater);
  }
  if (closes) session.send_close(close_code_, close_reason_);
}

void WriteQueue::clear() {
  frames_.clear();
  memory_.remove(std::exchange(bytes_, 0));
  fragmenting_ = false;
  is_closing_ = false;
}

}  // namespace websockets
