// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/budget.h"
#include "websocket/frame.h"
#include "websocket/message_batch.h"
#include "websocket/partial_message.h"
#include "websocket/protocol_error.h"

namespace websockets {

class MessageCompression;

// Receives what the reader found. Spans are valid during the call only. Each call returns whether to
// go on: false stops the reader behind the reported event, with the rest of the input untouched
// (the receiver closed the connection, or switched reading off).
class MessageSink {
 public:
  // There is at least one, which has to be taken.
  virtual bool on_messages(MessageBatch& messages) = 0;

  // Chunk mode only, instead of on_messages: a piece of a message, in order. `is_last` is true exactly once
  // per message, at its end; that last piece may be empty. Other pieces are not.
  virtual bool on_chunk(MessageType type, std::span<const std::uint8_t> piece, bool is_last) = 0;

  virtual bool on_ping(std::span<const std::uint8_t> payload) = 0;
  virtual bool on_pong(std::span<const std::uint8_t> payload) = 0;

  // `code` is kNoStatus when the frame had none. The reader always stops behind a Close frame.
  virtual void on_close_frame(CloseCode code, std::span<const std::uint8_t> reason) = 0;

  // What permessage-deflate was negotiated with (RFC 7692); null: it was not.
  virtual MessageCompression* compression() { return nullptr; }

 protected:
  ~MessageSink() = default;
};

// Turns the bytes that arrive on one open connection into messages and control frames (RFC 6455 5 and 8.1), those that
// are compressed included (RFC 7692 6.2).
// Bytes in, events out: knows no socket and no clock. After an error, and after a Close frame, it must not be fed any
// more. A whole message that lies in the input is delivered from there, without a copy and without any memory; what is
// split or fragmented takes a PartialMessage, which is given back when it is complete. A compressed message is gathered
// as it is, and decompressed when it is complete; in chunk mode, as it arrives.
class MessageReader {
 public:
  // Takes bytes from the front of `input`, modifying them in place (unmasking), and advances `input` behind what was
  // taken. Returns kNone when the input is used up, a Close frame was delivered, the sink said stop, or `budget`, from
  // which it takes the cost of what it does, is spent. Then it goes on when it is called again; is_inflating() says
  // whether that is worth while without any input. `input` says where it stopped only when it returns, not yet during
  // the calls of the sink. Everything is checked as early as the bytes allow: a message over the limit or out of order
  // fails at its frame header (kMessageTooBig counts all fragments so far plus the announced length), text at its first
  // impossible byte, even within a split frame. Only the body of a Close frame and a compressed message are judged as a
  // whole. Throws std::bad_alloc when memory is short; it must not be fed any more then, either. The rules are the same
  // ones in all calls.
  ProtocolError consume(std::span<std::uint8_t>& input, const ReceiveRules& rules, MessageSink& sink, Budget& budget);
  ProtocolError consume(std::span<std::uint8_t>& input, const ReceiveRules& rules, MessageSink& sink) {
    Budget budget;
    return consume(input, rules, sink, budget);
  }

  // While a large payload is only partly there: where the next bytes of the stream may be received directly,
  // never reaching past the end of the frame's payload; then call consume_in_place() with how many were. Empty at all
  // other times, and in chunk mode: receive elsewhere and call consume().
  // Memory follows what has arrived, not what was announced: at most sixteen times that, and a small first step. Throws
  // std::bad_alloc as consume() does.
  std::span<std::uint8_t> direct_space() {
    return partial_ == nullptr ? std::span<std::uint8_t>() : partial_->direct_space();
  }
  ProtocolError consume_in_place(std::size_t count, const ReceiveRules& rules, MessageSink& sink, Budget& budget);

  // In the midst of decompressing a message.
  bool is_inflating() const {
    return partial_ != nullptr && partial_->position() == PartialMessage::Position::kInflating;
  }

  // Bytes of the current data frame's payload that have not been taken yet; 0 between frames and while a whole
  // message is being delivered. Live during on_chunk.
  std::uint64_t remaining_frame_bytes() const {
    return partial_ != nullptr && partial_->position() == PartialMessage::Position::kData ? partial_->remaining() : 0;
  }

  // Of a message, or control frame, that is not complete.
  std::size_t gathered_bytes() const { return partial_ == nullptr ? 0 : partial_->gathered_bytes(); }
  // Gives up what was gathered, once it will not be fed any more. Not within consume().
  void drop_gathered() { partial_.reset(); }

  // Deliver data by on_chunk as it arrives instead of gathering messages. May be called between any two events, also
  // from within one; a message that is being gathered already is finished in the old way.
  void set_chunk_mode(bool enabled) { chunk_mode_ = enabled; }

 private:
  // What consume() was called with.
  struct Feed {
    std::span<std::uint8_t>& input;
    const ReceiveRules& rules;
    MessageSink& sink;
    Budget& budget;
  };

  struct Step {
    ProtocolError error = ProtocolError::kNone;
    bool go_on = true;
  };

  Step take_short_messages(const Feed& feed);
  Step take_header(const Feed& feed);
  Step resume(const Feed& feed);
  Step begin_data_frame(const FrameHeader& header, const Feed& feed);
  Step take_whole_message(const FrameHeader& header, const Feed& feed);
  Step take_data(const Feed& feed);
  Step take_compressed_chunk(const Feed& feed);
  Step end_piece(std::span<const std::uint8_t> piece, const Feed& feed);
  Step inflate(MessageType type, std::span<const std::uint8_t> payload, PartialMessagePointer&& holder,
               const Feed& feed);
  Step begin_control_frame(const FrameHeader& header, const Feed& feed);
  Step take_control(const Feed& feed);
  static Step deliver(MessageType type, std::span<const std::uint8_t> payload, const Feed& feed);
  static Step deliver_control_frame(Opcode opcode, std::span<const std::uint8_t> payload, const Feed& feed);

  bool is_in_message() const { return partial_ != nullptr && partial_->has_begun(); }
  PartialMessage& partial(const ReceiveRules& rules);
  void drop_unless_in_message();

  PartialMessagePointer partial_;  // null while nothing is split, and between messages
  bool chunk_mode_ = false;
};

}  // namespace websockets
