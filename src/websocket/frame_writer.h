// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/output_queue.h"
#include "base/pinned_payload.h"
#include "websocket/close_code.h"
#include "websocket/frame.h"

namespace websockets {

// Where a client's masking keys come from: a new one for each frame, which nobody can predict (RFC 6455 5.3, 10.3).
class MaskingKeys {
 public:
  virtual std::uint32_t next() = 0;

 protected:
  ~MaskingKeys() = default;
};

// Puts frames into queues as one endpoint sends them: a server as they are, a client masked (RFC 6455 5.1). Each call
// may throw std::bad_alloc, after which a part of the frame may be queued.
class FrameWriter {
 public:
  explicit FrameWriter(OutputPool& pool, MaskingKeys* masking_keys = nullptr) : pool_(pool), keys_(masking_keys) {}

  OutputPool& pool() const { return pool_; }
  bool masks() const { return keys_ != nullptr; }

  // `header` says how long the payload is; that it is masked is added. `pinned`: the payload is sent from where it is,
  // unless it is short, or has to be masked.
  void append(OutputQueue& queue, const FrameHeader& header, std::span<const std::uint8_t> payload,
              PinnedPayload&& pinned = {}) const;
  // `code` kNone: without a body (RFC 6455 5.5.1). Of `reason`, what fits into a control frame.
  void append_close(OutputQueue& queue, CloseCode code, std::string_view reason) const;
  // A whole frame that was made for several receivers: not masked. Nothing is queued when memory is short.
  void append_shared(OutputQueue& queue, const SharedFrame& frame) const {
    masks() ? append_masked_copy(queue, frame) : queue.append_frame(pool_, frame);
  }

 private:
  void append_masked_copy(OutputQueue& queue, const SharedFrame& frame) const;
  void append_masked(OutputQueue& queue, FrameHeader header, std::span<const std::uint8_t> payload) const;

  OutputPool& pool_;
  MaskingKeys* keys_;
};

}  // namespace websockets
