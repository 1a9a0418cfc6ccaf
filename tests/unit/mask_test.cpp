// SPDX-License-Identifier: MIT
#include "websocket/mask.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "protocol_support.h"

namespace websockets {
namespace {

using protocol_support::Bytes;
using protocol_support::to_bytes;
using protocol_support::to_text;

constexpr std::uint8_t kKeyBytes[] = {0x37, 0xFA, 0x21, 0x3D};

std::uint32_t key_in_memory() {
  std::uint32_t key = 0;
  std::memcpy(&key, kKeyBytes, sizeof(key));
  return key;
}

Bytes random_bytes(std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(count));
  Bytes bytes(count);
  for (std::uint8_t& byte : bytes) {
    byte = static_cast<std::uint8_t>(random());
  }
  return bytes;
}

// Masks `count` bytes of a larger piece of memory, and compares all of it: nothing beside them may change.
void expect_masked(std::size_t alignment, std::size_t count, std::uint64_t offset) {
  alignas(64) std::uint8_t memory[512] = {};
  const Bytes before = random_bytes(sizeof(memory));
  std::copy(before.begin(), before.end(), memory);
  Bytes expected = before;
  for (std::size_t index = 0; index < count; ++index) {
    expected[alignment + index] ^= kKeyBytes[(offset + index) % 4];
  }
  apply_mask(std::span(memory).subspan(alignment, count), key_in_memory(), offset);
  ASSERT_TRUE(std::equal(expected.begin(), expected.end(), memory))
      << "alignment " << alignment << ", " << count << " bytes, offset " << offset;
}

TEST(Mask, GivesWhatTheRfcShows) {
  Bytes payload = {0x7F, 0x9F, 0x4D, 0x51, 0x58};  // RFC 6455 5.7
  apply_mask(payload, key_in_memory(), 0);
  EXPECT_EQ(to_text(payload), "Hello");
  apply_mask(payload, key_in_memory(), 0);
  EXPECT_EQ(payload, (Bytes{0x7F, 0x9F, 0x4D, 0x51, 0x58}));
}

TEST(Mask, WorksAtEveryAlignmentSizeAndOffset) {
  for (std::size_t alignment = 0; alignment < 32; ++alignment) {
    for (std::size_t count = 0; count <= 140; ++count) {
      for (std::uint64_t offset = 0; offset < 5; ++offset) {
        ASSERT_NO_FATAL_FAILURE(expect_masked(alignment, count, offset));
      }
    }
  }
}

TEST(Mask, WorksFarIntoAPayload) {
  for (const std::uint64_t offset :
       {(std::uint64_t{1} << 32U) + 1, (std::uint64_t{1} << 63U) - 1, ~std::uint64_t{0} - 200}) {
    ASSERT_NO_FATAL_FAILURE(expect_masked(3, 77, offset));
  }
}

TEST(Mask, TouchesNothingOutsideOfAnAllocation) {
  for (std::size_t count = 0; count <= 140; ++count) {
    Bytes bytes(count);  // AddressSanitizer watches both ends
    apply_mask(bytes, key_in_memory(), 1);
    for (std::size_t index = 0; index < count; ++index) {
      ASSERT_EQ(bytes[index], kKeyBytes[(index + 1) % 4]);
    }
  }
}

TEST(Mask, UnmasksPieceByPiece) {
  const Bytes payload = random_bytes(100);
  Bytes whole = payload;
  apply_mask(whole, key_in_memory(), 0);
  for (std::size_t first = 0; first <= payload.size(); ++first) {
    for (std::size_t second = first; second <= payload.size(); ++second) {
      Bytes pieces = payload;
      const std::span<std::uint8_t> span(pieces);
      apply_mask(span.first(first), key_in_memory(), 0);
      apply_mask(span.subspan(first, second - first), key_in_memory(), first);
      apply_mask(span.subspan(second), key_in_memory(), second);
      ASSERT_EQ(pieces, whole) << first << ", " << second;
    }
  }
}

TEST(Mask, DoesNothingWithAKeyOfZeros) {
  Bytes payload = to_bytes("as it is");
  apply_mask(payload, 0, 3);
  EXPECT_EQ(to_text(payload), "as it is");
}

}  // namespace
}  // namespace websockets
