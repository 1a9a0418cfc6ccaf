// SPDX-License-Identifier: MIT
#include "websocket/mask.h"

#include <array>
#include <bit>
#include <cstring>

namespace websockets {

namespace {

// The key as it stands in memory from its byte number `offset` on.
std::uint32_t turned(std::uint32_t key, std::uint64_t offset) {
  const int bits = static_cast<int>(offset % 4) * 8;
  return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}

// memcpy() is how unaligned words are accessed; it compiles to one instruction.
template <typename Word>
void xor_word(std::uint8_t* at, Word key) {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  word = static_cast<Word>(word ^ key);
  std::memcpy(at, &word, sizeof(word));
}

}  // namespace

void apply_mask(std::span<std::uint8_t> data, std::uint32_t key, std::uint64_t offset) {
  if (key == 0) {
    return;  // as in every frame that is not masked
  }
  const std::uint32_t key32 = turned(key, offset);
  const std::uint64_t key64 = (static_cast<std::uint64_t>(key32) << 32U) | key32;
  std::uint8_t* at = data.data();
  std::size_t left = data.size();

  // Every step but the last ones is a multiple of four bytes, so the key need not be turned again.
  for (; left >= 32; at += 32, left -= 32) {
    xor_word(at, key64);
    xor_word(at + 8, key64);
    xor_word(at + 16, key64);
    xor_word(at + 24, key64);
  }
  for (; left >= 8; at += 8, left -= 8) {
    xor_word(at, key64);
  }
  if (left >= 4) {
    xor_word(at, key32);
    at += 4;
    left -= 4;
  }
  std::array<std::uint8_t, 4> key_bytes{};
  std::memcpy(key_bytes.data(), &key32, key_bytes.size());
  for (std::size_t index = 0; index < left; ++index) {
    at[index] ^= key_bytes[index];
  }
}

}  // namespace websockets
