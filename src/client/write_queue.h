// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/memory_budget.h"
#include "websocket/close_code.h"
#include "websocket/frame.h"
#include "websocket/write_status.h"

namespace websockets {

class Session;

// The frames that wait for a session to be sent by, in order. What they take is counted in the budget.
class WriteQueue {
 public:
  // `most_bytes`: a frame that would lead beyond is not taken, unless it is the first one.
  WriteQueue(MemoryBudget& memory, std::size_t most_bytes) : memory_(memory), most_bytes_(most_bytes) {}
  ~WriteQueue() { clear(); }
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // Throws std::bad_alloc, after which all is as it was.
  WriteStatus add(Opcode opcode, bool fin, std::span<const std::uint8_t> payload);
  // A Close frame, behind which nothing is taken. It always has room, as in a session. Throws as add() does.
  WriteStatus add_close(CloseCode code, std::string_view reason);
  bool is_closing() const { return is_closing_; }
  bool is_fragmenting() const { return fragmenting_; }
  std::size_t bytes() const { return bytes_; }  // payloads, and what their headers may take

  // Gives all to the session, which fails (1013) when it has no room for them: they had been accepted. Throws
  // std::bad_alloc.
  void send_by(Session& session);
  void clear();

 private:
  struct Frame {
    Opcode opcode;
    bool fin;
    std::vector<std::uint8_t> payload;
  };

  MemoryBudget& memory_;
  std::size_t most_bytes_;
  std::vector<Frame> frames_;
  std::size_t bytes_ = 0;
  CloseCode close_code_ = CloseCode::kNone;
  std::string close_reason_;
  bool fragmenting_ = false;
  bool is_closing_ = false;
};

}  // namespace websockets
