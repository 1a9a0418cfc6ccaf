// SPDX-License-Identifier: MIT
#pragma once

#include <zlib.h>

#include <cstdint>
#include <span>

#include "base/byte_buffer.h"

namespace websockets {

// The payloads of messages compressed as RFC 7692 7.2 has it: a stream of deflate blocks, of which each message is a
// part that ends at a byte, without the four bytes 00 00 FF FF of its last, empty block.

// How a Deflater works: 1 (fast) to 9 (small), and the sizes of what it keeps in memory:
// 2^(window_bits + 2) + 2^(memory_level + 9) bytes, and 6 KB.
struct DeflateSettings {
  int level = 6;
  int window_bits = 15;  // 9 to 15: how far back it finds what came before
  int memory_level = 8;  // 1 to 9: of its tables
};

// Compresses messages, each with a view of those before it; after reset(), of none. Throws std::bad_alloc, after which
// only reset() is allowed.
class Deflater {
 public:
  explicit Deflater(const DeflateSettings& settings);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // Appends the compressed message. Not for an empty one.
  void compress(std::span<const std::uint8_t> message, ByteBuffer& out);
  // The receiver has got this message, compressed by somebody else who knew nothing of the ones before it.
  void learn(std::span<const std::uint8_t> message);
  void reset();

 private:
  z_stream stream_{};
};

// Decompresses what a peer sends, in pieces of any size. Throws std::bad_alloc, after which only reset() is allowed.
class Inflater {
 public:
  explicit Inflater(int window_bits);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Decompresses from the front of `input` to the front of `space`, and takes off both what was used. When the input is
  // used up and there is space left, that was all for now. False: it is not deflate data; only reset() is allowed then.
  bool inflate(std::span<const std::uint8_t>& input, std::span<std::uint8_t>& space);
  // What has to be fed behind the last byte of a message, and may yield some more.
  std::span<const std::uint8_t> tail() const;
  // Behind that. False: the message was cut off; only reset() is allowed then.
  bool end_message();
  // Forgets everything.
  void reset();

 private:
  z_stream stream_{};
  bool is_at_boundary_ = true;  // between blocks, and between bytes
};

}  // namespace websockets
