// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/byte_buffer.h"
#include "websocket/cost.h"
#include "websocket/deflate.h"
#include "websocket/deflate_negotiation.h"
#include "websocket/protocol_error.h"
#include "websocket/utf8.h"

namespace websockets {

struct CompressionOptions {
  DeflateParameters wanted;
  int level = 6;                // 1 to 9; 0: nothing that is sent is compressed
  int memory_level = 8;         // see DeflateSettings
  std::size_t min_bytes = 256;  // of a message, to be compressed

  bool operator==(const CompressionOptions&) const = default;
};

class MessageCompression;

// What all connections that agreed on permessage-deflate have in common: those of them that keep no window between
// messages share what compresses and decompresses. Must outlive them.
class CompressionPool {
 public:
  explicit CompressionPool(const CompressionOptions& options) : options_(options) {}
  CompressionPool(const CompressionPool&) = delete;
  CompressionPool& operator=(const CompressionPool&) = delete;

  // Null when the client's Sec-WebSocket-Extensions, for which is_extension_list() holds, has no offer that can be
  // accepted. `answer` is the header of that name to answer with. Throws std::bad_alloc.
  std::unique_ptr<MessageCompression> negotiate(std::string_view offers, std::string& answer);

  // A buffer that is empty, for a short time: what it has of memory is used again.
  class Scratch {
   public:
    explicit Scratch(CompressionPool& pool) : pool_(pool), bytes_(std::move(pool.spare_bytes_)) {}
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ByteBuffer& operator*() { return bytes_; }
    ByteBuffer* operator->() { return &bytes_; }

   private:
    CompressionPool& pool_;
    ByteBuffer bytes_;
  };

 private:
  friend class MessageCompression;
  bool is_worth_compressing(std::size_t bytes) const;
  DeflateSettings settings_for(std::uint8_t window_bits) const;
  std::unique_ptr<Inflater> take_inflater();

  CompressionOptions options_;
  std::array<std::unique_ptr<Deflater>, kMaxWindowBits + 1> deflaters_;  // by the bits of their window
  std::unique_ptr<Inflater> spare_inflater_;
  ByteBuffer spare_bytes_;
};

// What one connection agreed upon, and the windows that it keeps. All calls may throw std::bad_alloc, after which it
// must not be used any more.
class MessageCompression {
 public:
  MessageCompression(CompressionPool& pool, const DeflateParameters& agreed) : pool_(pool), agreed_(agreed) {}
  MessageCompression(const MessageCompression&) = delete;
  MessageCompression& operator=(const MessageCompression&) = delete;
  CompressionPool& pool() { return pool_; }

  // --- Sending ---

  // Appends the compressed message to `out`; it has to be sent then. False: it has to be sent as it is, since it is
  // short, or does not become smaller; what is in `out` is of no use.
  bool compress(std::span<const std::uint8_t> message, ByteBuffer& out);
  // The same for a message that many connections are sent: one that knows nothing of the messages before it. May be
  // sent to all whose window_bits() are the same, and note_shared() is to be called of each.
  bool compress_shared(std::span<const std::uint8_t> message, ByteBuffer& out);
  std::uint8_t window_bits() const { return agreed_.server_max_window_bits; }
  void note_shared(std::span<const std::uint8_t> message);

  // --- Receiving ---

  // `is_text`: it must be UTF-8.
  void begin_message(bool is_text);

  // What decompressing the message has cost so far, in bytes that came out: kInflatedBytesPerUnit of them are a unit.
  std::uint64_t cost_bytes() const { return message_bytes_ + kInflatedBytesPerCompressed * compressed_bytes_; }

  // Decompresses a message that is all there, until it has more than `max_bytes`. Stops when it cost more than
  // `most` bytes: goes on when it is called with the same message again, unless is_complete().
  ProtocolError inflate_message(std::span<const std::uint8_t> compressed, std::uint64_t max_bytes, std::uint64_t most,
                                ByteBuffer& out);
  bool is_complete() const { return is_complete_; }
  // What came out, until it goes on.
  ByteBuffer& unfinished() { return unfinished_; }

  // Decompresses a message in pieces, `is_last` with the last one; they may be empty. Of kPieceBytes become at most
  // kInflatedPieceBytes. Whether it is UTF-8 is not looked at.
  static constexpr std::size_t kPieceBytes = 32;
  static constexpr std::size_t kInflatedPieceBytes = (kPieceBytes + 16) * 1032;
  ProtocolError append_inflated(std::span<const std::uint8_t> piece, bool is_last, std::uint64_t max_bytes,
                                ByteBuffer& out);

 private:
  Inflater& inflater();
  ProtocolError inflate_step(std::span<const std::uint8_t>& input, std::uint64_t most, std::uint64_t max_bytes,
                             ByteBuffer& out);
  ProtocolError inflate(std::span<const std::uint8_t> input, std::uint64_t most, std::uint64_t max_bytes,
                        ByteBuffer& out);
  ProtocolError end_message(std::uint64_t max_bytes, ByteBuffer& out);

  CompressionPool& pool_;
  DeflateParameters agreed_;
  Utf8Validator utf8_;
  bool is_text_ = false;
  bool is_complete_ = true;
  bool has_more_ = false;               // comes out without further input
  std::uint64_t compressed_bytes_ = 0;  // taken so far, of the message that is received
  std::uint64_t message_bytes_ = 0;     // what they became
  ByteBuffer unfinished_;
  std::unique_ptr<Deflater> deflater_;  // null: nothing to remember
  std::unique_ptr<Inflater> inflater_;  // likewise
};

}  // namespace websockets
