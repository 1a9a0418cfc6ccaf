// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "websocket/protocol_error.h"

namespace websockets {

class PartialMessagePool;

enum class MessageType : std::uint8_t { kText, kBinary };

// The rules of all readers of one endpoint.
struct ReceiveRules {
  std::uint64_t max_message_bytes = 16U << 20U;    // at most 2^62
  bool check_utf8 = true;                          // of text; a Close frame's reason is always checked
  bool expect_masked = true;                       // a server's input is masked, a client's is not
  PartialMessagePool* partial_messages = nullptr;  // null: each partial message takes memory of its own
};

bool is_invalid_utf8_text(MessageType type, std::span<const std::uint8_t> payload, const ReceiveRules& rules);

// Whole messages, one behind the other, for a sink that takes them one at a time. What it does not take stays in the
// input. It may be left at any time, by an exception or longjmp() as well.
class MessageBatch {
 public:
  struct Message {
    MessageType type = MessageType::kText;
    std::span<const std::uint8_t> payload;  // valid until the sink returns
  };

  // False, and nothing else, when there is no further one.
  bool next(Message& message) {
    if (!has_next_ && !find_next()) return false;
    message = next_;
    has_next_ = false;
    ++taken_;
    return true;
  }
  // next() gives no more than so many, at least 1, altogether.
  void limit(std::size_t most) { most_ = most < most_ ? most : most_; }
  // How many next() has given.
  std::size_t taken() const { return taken_; }

  // --- For the reader ---

  // Messages that are one short frame each, from the front of `input` on; none once in chunk mode.
  struct Source {
    std::span<std::uint8_t>& input;
    const ReceiveRules& rules;
    const bool& chunk_mode;
    std::size_t most;
  };

  explicit MessageBatch(const Source& source) : source_(&source), most_(source.most) { find_next(); }
  explicit MessageBatch(const Message& only) : next_(only), has_next_(true) {}
  bool has_next() const { return has_next_; }
  // Why the input is not to be read any further.
  ProtocolError error() const { return error_; }

 private:
  bool find_next();

  const Source* source_ = nullptr;
  std::size_t most_ = 1;
  Message next_;
  bool has_next_ = false;
  std::size_t taken_ = 0;
  ProtocolError error_ = ProtocolError::kNone;
};

}  // namespace websockets
