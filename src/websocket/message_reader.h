// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/budget.h"
#include "base/byte_buffer.h"
#include "websocket/frame.h"
#include "websocket/message_batch.h"
#include "websocket/protocol_error.h"
#include "websocket/utf8.h"

namespace websockets {

class MessageCompression;

// Receives what the assembler found. Spans are valid during the call only. Each call returns whether to
// go on: false stops the assembler behind the reported event, with the rest of the input untouched
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

  // `code` is kNoStatus when the frame had none. The assembler always stops behind a Close frame.
  virtual void on_close_frame(CloseCode code, std::span<const std::uint8_t> reason) = 0;

  // What permessage-deflate was negotiated with (RFC 7692); null: it was not.
  virtual MessageCompression* compression() { return nullptr; }

 protected:
  ~MessageSink() = default;
};

// Turns the bytes that arrive on one open connection into messages and control frames (RFC 6455 5 and 8.1), those that
// are compressed included (RFC 7692 6.2).
// Bytes in, events out: knows no socket and no clock. After an error, and after a Close frame, it must not be fed any
// more. A whole frame that lies in the input is delivered from there, without a copy; only what is split or fragmented
// is gathered in a buffer, which is given back when the message is complete. A compressed message is gathered as it is,
// and decompressed when it is complete; in chunk mode, as it arrives.
class MessageReader {
 public:
  // Takes bytes from the front of `input`, modifying them in place (unmasking), and advances `input` behind what was
  // taken. Returns kNone when the input is used up, a Close frame was delivered, the sink said stop, or `budget`, of
  // which it takes what it does, is used up. Then it goes on when it is called again; is_inflating() says whether that
  // is worth while without any input. `input` says where it stopped only when it returns, not yet during the calls of
  // the sink. Everything is checked as early as the bytes allow: a message over the limit or out of order fails at its
  // frame header (kMessageTooBig counts all fragments so far plus the announced length), text at its first impossible
  // byte, even within a split frame. Only the body of a Close frame and a compressed message are judged as a whole.
  // Throws std::bad_alloc when memory is short; it must not be fed any more then, either.
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
  std::span<std::uint8_t> direct_space();
  ProtocolError consume_in_place(std::size_t count, const ReceiveRules& rules, MessageSink& sink, Budget& budget);

  // In the midst of decompressing a message.
  bool is_inflating() const { return position_ == Position::kInflating; }

  // Bytes of the current data frame's payload that have not been taken yet; 0 between frames and while a whole
  // message is being delivered. Live during on_chunk.
  std::uint64_t remaining_frame_bytes() const { return position_ == Position::kData ? remaining_ : 0; }

  // Of a message, or control frame, that is not complete.
  std::size_t gathered_bytes() const { return gathered_.size(); }
  // Gives up what was gathered, once it will not be fed any more. Not within consume().
  void drop_gathered() { gathered_.release(); }

  // Deliver data by on_chunk as it arrives instead of gathering messages. May be called between any two events, also
  // from within one; a message that is being gathered already is finished in the old way.
  void set_chunk_mode(bool enabled) { chunk_mode_ = enabled; }

 private:
  enum class Position : std::uint8_t { kHeader, kData, kControl, kInflating };

  // What consume() was called with.
  struct Feed {
    std::span<std::uint8_t>& input;
    const ReceiveRules& rules;
    MessageSink& sink;
  };

  struct Step {
    ProtocolError error = ProtocolError::kNone;
    bool go_on = true;
  };

  void spend(std::size_t cost) { work_left_ -= static_cast<std::uint32_t>(std::min<std::size_t>(cost, work_left_)); }
  Step take_short_messages(const Feed& feed);
  Step deliver(MessageType type, std::span<const std::uint8_t> payload, MessageSink& sink);
  Step inflate(std::span<const std::uint8_t> payload, const Feed& feed);
  Step inflate_gathered(const Feed& feed);
  Step take_header(const Feed& feed);
  ProtocolError read_header(std::span<const std::uint8_t> bytes, const Feed& feed, FrameHeader& header,
                            bool& complete) const;
  ProtocolError check_header(const FrameHeader& header, const Feed& feed) const;
  ProtocolError check_length(const FrameHeader& header, const ReceiveRules& rules) const;
  Step begin_data_frame(const FrameHeader& header, const Feed& feed);
  Step take_whole_message(const FrameHeader& header, const Feed& feed);
  Step deliver_control_frame(Opcode opcode, std::span<const std::uint8_t> payload, MessageSink& sink);
  Step begin_control_frame(const FrameHeader& header, const Feed& feed);

  Step take_data(const Feed& feed);
  Step take_compressed_chunk(const Feed& feed);
  Step take_control(const Feed& feed);
  void unmask(std::span<std::uint8_t> piece);
  bool check_text(std::span<const std::uint8_t> piece, const ReceiveRules& rules);
  Step end_piece(std::span<const std::uint8_t> piece, const Feed& feed);
  void gather(std::span<const std::uint8_t> piece);
  void make_room(std::size_t needed_bytes, std::uint64_t frame_end);

  ByteBuffer gathered_;              // the message so far, and behind it the control frame that is split
  std::uint64_t remaining_ = 0;      // payload bytes of the current frame still to come
  std::uint64_t message_bytes_ = 0;  // all fragments' so far, with what the current one announced
  std::uint32_t mask_key_ = 0;       // turned, so that it fits the next byte of the payload
  std::uint32_t fragments_ = 0;
  std::uint32_t work_left_ = 0;                                  // of the call of consume(), in frames
  std::array<std::uint8_t, kMaxFrameHeaderBytes> split_header_;  // split_header_bytes_ of it are there
  std::uint8_t split_header_bytes_ = 0;
  Utf8Validator utf8_;
  Position position_ = Position::kHeader;
  Opcode control_opcode_ = Opcode::kPing;
  std::uint8_t control_bytes_ = 0;  // of the split control frame's payload
  MessageType type_ = MessageType::kText;
  bool in_message_ : 1 = false;
  bool in_chunks_ : 1 = false;      // the mode that the current message began in
  bool is_compressed_ : 1 = false;  // the current message
  bool last_frame_ : 1 = false;
  bool chunk_mode_ = false;
};

}  // namespace websockets
