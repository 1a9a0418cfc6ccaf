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

  struct Form {
    SharedFrame frame;
    bool is_compressed = false;
  };
  // For a receiver that agreed on this compression, or null: on none. Stays valid until the next call. Throws
  // std::bad_alloc.
  const Form& form_for(MessageCompression* compression) {
    const Form& form = compression != nullptr    ? compressed_for(*compression)
                       : plain_.frame != nullptr ? plain_
                                                 : plain();
    was_made_ = true;
    return form;
  }
  std::span<const std::uint8_t> payload() const { return payload_; }
  // Some receiver may have it.
  bool was_made() const { return was_made_; }

 private:
  const Form& plain();
  const Form& compressed_for(MessageCompression& compression);
  Form compressed(MessageCompression& compression);

  MemoryBudget& memory_;
  Opcode opcode_;
  std::span<const std::uint8_t> payload_;
  bool was_made_ = false;
  Form plain_;
  std::vector<Form> compressed_;  // by the bits of the receiver's window
};

}  // namespace websockets
