// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>

#include "base/byte_buffer.h"
#include "websocket/frame.h"
#include "websocket/message_batch.h"
#include "websocket/utf8.h"

namespace websockets {

class PartialMessage;

// Memory for the partial messages of many readers, which it must outlive: a message that arrives in pieces takes what
// the one before it has given back, without asking the allocator. What it keeps is bounded: see kMaxSpares.
class PartialMessagePool {
 public:
  PartialMessagePool() = default;
  ~PartialMessagePool();
  PartialMessagePool(const PartialMessagePool&) = delete;
  PartialMessagePool& operator=(const PartialMessagePool&) = delete;

  struct GiveBack {
    void operator()(PartialMessage* message) const noexcept;
  };
  using Pointer = std::unique_ptr<PartialMessage, GiveBack>;

  // An empty one, which goes back by itself; `pool` may be null: then to the allocator. Throws std::bad_alloc.
  static Pointer take(PartialMessagePool* pool);

  // The allocator is not asked either for as many buffers as are kept. A buffer that has grown beyond what a frame's
  // header alone is given (kTrustedBytes) is not kept: else a peer that sends nothing but the first byte of a message
  // could hold what a large message of another one has needed.
  static constexpr std::size_t kMaxSpares = 1024;
  static constexpr std::size_t kMaxSpareBuffers = 16;
  std::size_t spare_count() const { return spare_count_; }

 private:
  PartialMessage* first_ = nullptr;  // of the spares, those with a buffer first
  PartialMessage* last_ = nullptr;   // of no meaning while there is none
  std::size_t spare_count_ = 0;
  std::size_t buffer_count_ = 0;
};

using PartialMessagePointer = PartialMessagePool::Pointer;

// What has arrived of a message that is not complete: its payload, unless that is delivered in chunks, and where in
// which frame it goes on. Between its frames, and also where no message has begun, a frame header may be split, and so
// may a control frame (RFC 6455 5.4), so these have a place here, too.
class PartialMessage {
 public:
  enum class Position : std::uint8_t { kHeader, kData, kControl, kInflating };

  // A frame that announces more than this is believed only as far as its bytes arrive, and direct_space() is worth a
  // system call of its own only for as much.
  static constexpr std::size_t kTrustedBytes = std::size_t{16} << 10U;

  Position position() const { return position_; }
  // Payload bytes of the current frame still to come.
  std::uint64_t remaining() const { return remaining_; }
  // Of the message, and behind it of a control frame.
  std::size_t gathered_bytes() const { return gathered_.size(); }
  // Memory is kept for the next message.
  bool has_buffer() const { return gathered_.capacity() > 0; }

  // --- A frame header that is split ---

  std::size_t header_bytes() const { return header_bytes_; }
  // Appends the front of `input`, as far as a header may go; returns the header so far.
  std::span<const std::uint8_t> extend_header(std::span<const std::uint8_t> input);
  void clear_header() { header_bytes_ = 0; }

  // --- The message ---

  struct Properties {
    MessageType type = MessageType::kText;
    bool is_compressed = false;
    bool in_chunks = false;    // pieces are delivered, not gathered
    bool checks_text = false;  // what is given to accept_text() has to be UTF-8, all together
  };
  void begin(const Properties& properties);
  bool has_begun() const { return has_begun_; }
  const Properties& properties() const { return properties_; }

  void begin_frame(const FrameHeader& header);
  // Its frames so far, and what they announced.
  std::uint32_t frames() const { return frames_; }
  std::uint64_t announced_bytes() const { return announced_bytes_; }

  // The front of `input`, unmasked, as far as the current frame goes, and no more than `most` of it.
  std::span<std::uint8_t> take(std::span<std::uint8_t>& input, std::uint64_t most = kAny);
  // Whether take() has come to the end of the last frame.
  bool is_complete() const { return remaining_ == 0 && is_last_frame_; }
  // False at the first byte that shows that the text is wrong, and when it ends within a character.
  bool accept_text(std::span<const std::uint8_t> piece);

  void gather(std::span<const std::uint8_t> piece);
  std::span<const std::uint8_t> gathered() const { return gathered_.bytes(); }
  // As MessageReader::direct_space(); take_direct() is what take() and gather() are for other bytes.
  std::span<std::uint8_t> direct_space();
  std::span<const std::uint8_t> take_direct(std::size_t count);

  void begin_inflating() { position_ = Position::kInflating; }

  // --- A control frame that is split ---

  void begin_control_frame(const FrameHeader& header);
  Opcode control_opcode() const { return control_opcode_; }
  // take() is called for it, and what that returns is given to this one.
  void append_control(std::span<const std::uint8_t> piece) { gathered_.append(piece); }
  std::span<const std::uint8_t> control_payload() const;
  void end_control_frame() { gathered_.truncate(gathered_.size() - control_bytes_); }

 private:
  friend class PartialMessagePool;
  static constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();

  explicit PartialMessage(PartialMessagePool* pool) : pool_(pool) {}
  void clear();
  void unmask(std::span<std::uint8_t> piece);
  void make_room(std::size_t needed_bytes, std::uint64_t frame_end);

  PartialMessagePool* pool_;
  PartialMessage* next_spare_ = nullptr;
  ByteBuffer gathered_;  // the message so far, and behind it the control frame
  std::uint64_t remaining_ = 0;
  std::uint64_t announced_bytes_ = 0;
  std::uint32_t frames_ = 0;
  std::uint32_t mask_key_ = 0;  // turned, so that it fits the next byte of the payload
  std::array<std::uint8_t, kMaxFrameHeaderBytes> header_{};
  std::uint8_t header_bytes_ = 0;
  Position position_ = Position::kHeader;
  Properties properties_;
  Utf8Validator utf8_;
  Opcode control_opcode_ = Opcode::kPing;
  std::uint8_t control_bytes_ = 0;  // of the control frame's payload, announced
  bool has_begun_ = false;
  bool is_last_frame_ = false;
};

}  // namespace websockets
