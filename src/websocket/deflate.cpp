// SPDX-License-Identifier: MIT
#include "websocket/deflate.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <new>

namespace websockets {

namespace {

// RFC 7692 7.2.1.
constexpr std::array<std::uint8_t, 4> kTail = {0x00, 0x00, 0xFF, 0xFF};
// Behind Deflater's last block: its end, at most 10 bits, and the empty block.
constexpr std::size_t kFlushBytes = 16;

// Sizes are counted in 32 bits by zlib.
uInt clamped(std::size_t size) {
  return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
}

void check(int result) {
  if (result != Z_OK) {
    throw std::bad_alloc();
  }
}

}  // namespace

Deflater::Deflater(const DeflateSettings& settings) {
  check(deflateInit2(&stream_, settings.level, Z_DEFLATED, -settings.window_bits, settings.memory_level,
                     Z_DEFAULT_STRATEGY));
}

Deflater::~Deflater() { deflateEnd(&stream_); }

void Deflater::compress(std::span<const std::uint8_t> message, ByteBuffer& out) {
  std::size_t wanted = deflateBound(&stream_, static_cast<uLong>(message.size())) + kFlushBytes;
  do {
    const std::span<std::uint8_t> space = out.prepare(wanted);
    const uInt space_bytes = clamped(space.size());
    const uInt input_bytes = clamped(message.size());
    stream_.next_in = const_cast<Bytef*>(message.data());
    stream_.avail_in = input_bytes;
    stream_.next_out = space.data();
    stream_.avail_out = space_bytes;
    deflate(&stream_, input_bytes == message.size() ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    out.commit(space_bytes - stream_.avail_out);
    message = message.subspan(input_bytes - stream_.avail_in);
    wanted = message.size() + kFlushBytes;
  } while (!message.empty() || stream_.avail_out == 0);
  out.truncate(out.size() - kTail.size());
}

void Deflater::learn(std::span<const std::uint8_t> message) {
  constexpr std::size_t kMostBytes = 1U << MAX_WBITS;
  message = message.last(std::min(message.size(), kMostBytes));
  deflateSetDictionary(&stream_, message.data(), static_cast<uInt>(message.size()));
}

void Deflater::reset() { deflateReset(&stream_); }

Inflater::Inflater(int window_bits) { check(inflateInit2(&stream_, -window_bits)); }

Inflater::~Inflater() { inflateEnd(&stream_); }

bool Inflater::inflate(std::span<const std::uint8_t>& input, std::span<std::uint8_t>& space) {
  int result = Z_OK;
  do {
    const uInt input_bytes = clamped(input.size());
    const uInt space_bytes = clamped(space.size());
    stream_.next_in = const_cast<Bytef*>(input.data());
    stream_.avail_in = input_bytes;
    stream_.next_out = space.data();
    stream_.avail_out = space_bytes;
    result = ::inflate(&stream_, Z_SYNC_FLUSH);
    input = input.subspan(input_bytes - stream_.avail_in);
    space = space.subspan(space_bytes - stream_.avail_out);
    if (result == Z_MEM_ERROR) {
      throw std::bad_alloc();
    }
    is_at_boundary_ = result == Z_STREAM_END || (is_at_boundary_ && input_bytes == stream_.avail_in);
    // RFC 7692 7.2.3.4: behind a final block others may follow, which may refer to what was before it.
    if (result == Z_STREAM_END) {
      inflateResetKeep(&stream_);
    }
  } while ((result == Z_OK || result == Z_STREAM_END) && !input.empty() && !space.empty());
  return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
}

// Some leave it out behind a final block, or send nothing at all for an empty message.
std::span<const std::uint8_t> Inflater::tail() const {
  return is_at_boundary_ ? std::span<const std::uint8_t>() : kTail;
}

bool Inflater::end_message() {
  constexpr int kBlockEndsWithByte = 128;  // and no bits are unused
  is_at_boundary_ = is_at_boundary_ || stream_.data_type == kBlockEndsWithByte;
  return is_at_boundary_;
}

void Inflater::reset() {
  inflateReset(&stream_);
  is_at_boundary_ = true;
}

}  // namespace websockets
