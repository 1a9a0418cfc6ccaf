// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/output_queue.h"
#include "websocket/frame.h"
#include "websocket/message_compression.h"

namespace websockets {

// One message for many receivers: what is sent of it is made once, when the first one takes it, and shared by the
// queues of all. The payload must stay valid meanwhile.
class PreparedMessage {
 public:
  // `opcode`: text or binary. What is made is counted in `memory` once, as long as some queue keeps it.
  PreparedMessage(MemoryBudget& memory, Opcode opcode, std::span<const std::uint8_t> payload)
      : memory_(memory), opcode_(opcode), payload_(payload) {}

  struct Frame {
    SharedFrame bytes;
    bool is_compressed = false;
  };
  // For a receiver that agreed on this compression, or null: on none. Stays valid until the next call. Throws
  // std::bad_alloc.
  const Frame& frame_for(MessageCompression* compression) {
    const Frame& frame = compression != nullptr    ? compressed_for(*compression)
                         : plain_.bytes != nullptr ? plain_
                                                   : plain();
    was_made_ = true;
    return frame;
  }
  std::span<const std::uint8_t> payload() const { return payload_; }
  // Some receiver may have it.
  bool was_made() const { return was_made_; }

 private:
  const Frame& plain();
  const Frame& compressed_for(MessageCompression& compression);
  Frame compressed(MessageCompression& compression);

  MemoryBudget& memory_;
  Opcode opcode_;
  std::span<const std::uint8_t> payload_;
  bool was_made_ = false;
  Frame plain_;
  std::vector<Frame> compressed_;  // by the bits of the receiver's window
};

}  // namespace websockets
