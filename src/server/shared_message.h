// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

#include "protocol/frame.h"
#include "server/output_queue.h"

namespace websockets {

// One message for many receivers: what is sent of it is made once, when the first one takes it, and shared by the
// queues of all. The payload must stay valid meanwhile.
class SharedMessage {
 public:
  // `opcode`: text or binary.
  SharedMessage(Opcode opcode, std::span<const std::uint8_t> payload) : opcode_(opcode), payload_(payload) {}

  // Throws std::bad_alloc.
  const SharedFrame& frame();

 private:
  Opcode opcode_;
  std::span<const std::uint8_t> payload_;
  SharedFrame frame_;
};

}  // namespace websockets
