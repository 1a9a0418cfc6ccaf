// SPDX-License-Identifier: MIT
#include "websocket/utf8.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace websockets {

namespace {

// The automaton of RFC 3629 4. Each byte has one word of transitions: the next state of state `s` stands in the six
// bits from bit `s` on. A step is one load, which does not wait for the step before, and one shift.
// All bits zero is the failure, which is never left again.
constexpr std::uint8_t kFailed = 0;
constexpr std::uint8_t kBetween = 6;
constexpr std::uint8_t kOneMore = 12;
constexpr std::uint8_t kTwoMore = 18;
constexpr std::uint8_t kThreeMore = 24;
constexpr std::uint8_t kAfterE0 = 30;  // the next byte must be at least A0, or the form is overlong
constexpr std::uint8_t kAfterEd = 36;  // at most 9F, or it is a surrogate
constexpr std::uint8_t kAfterF0 = 42;  // at least 90, or the form is overlong
constexpr std::uint8_t kAfterF4 = 48;  // at most 8F, or it is above U+10FFFF

using Transitions = std::array<std::uint64_t, 256>;

consteval void add(Transitions& table, std::uint8_t from, unsigned first, unsigned last, std::uint8_t to) {
  for (unsigned byte = first; byte <= last; ++byte) {
    table[byte] |= static_cast<std::uint64_t>(to) << from;
  }
}

consteval Transitions make_transitions() {
  Transitions table{};
  add(table, kBetween, 0x00, 0x7F, kBetween);
  add(table, kBetween, 0xC2, 0xDF, kOneMore);
  add(table, kBetween, 0xE0, 0xE0, kAfterE0);
  add(table, kBetween, 0xE1, 0xEC, kTwoMore);
  add(table, kBetween, 0xED, 0xED, kAfterEd);
  add(table, kBetween, 0xEE, 0xEF, kTwoMore);
  add(table, kBetween, 0xF0, 0xF0, kAfterF0);
  add(table, kBetween, 0xF1, 0xF3, kThreeMore);
  add(table, kBetween, 0xF4, 0xF4, kAfterF4);
  add(table, kOneMore, 0x80, 0xBF, kBetween);
  add(table, kTwoMore, 0x80, 0xBF, kOneMore);
  add(table, kThreeMore, 0x80, 0xBF, kTwoMore);
  add(table, kAfterE0, 0xA0, 0xBF, kOneMore);
  add(table, kAfterEd, 0x80, 0x9F, kOneMore);
  add(table, kAfterF0, 0x90, 0xBF, kTwoMore);
  add(table, kAfterF4, 0x80, 0x8F, kTwoMore);
  return table;
}

constexpr Transitions kTransitions = make_transitions();

std::uint8_t walk(std::uint8_t state, const std::uint8_t* at, std::size_t count) {
  std::uint64_t word = state;
  for (std::size_t index = 0; index < count; ++index) {
    word = kTransitions[at[index]] >> (word & 63U);
  }
  return static_cast<std::uint8_t>(word & 63U);
}

template <typename Word>
Word load(const std::uint8_t* at) {
  Word word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

constexpr std::uint64_t kTopBits = 0x8080808080808080U;
constexpr std::size_t kBlockBytes = 16;

bool is_ascii_block(const std::uint8_t* at) {
  return ((load<std::uint64_t>(at) | load<std::uint64_t>(at + 8)) & kTopBits) == 0;
}

// For less than a block. Words that overlap cover what is not a whole number of them.
bool is_ascii_rest(const std::uint8_t* at, std::size_t count) {
  if (count >= 8) {
    return ((load<std::uint64_t>(at) | load<std::uint64_t>(at + count - 8)) & kTopBits) == 0;
  }
  if (count >= 4) {
    return ((load<std::uint32_t>(at) | load<std::uint32_t>(at + count - 4)) & kTopBits) == 0;
  }
  unsigned bits = 0;
  for (std::size_t index = 0; index < count; ++index) {
    bits |= at[index];
  }
  return bits < 0x80;
}

}  // namespace

bool Utf8Validator::accept(std::span<const std::uint8_t> bytes) {
  static_assert(kBetween == kBetweenCharacters);
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint8_t state = state_;
  for (; left >= kBlockBytes; at += kBlockBytes, left -= kBlockBytes) {
    if (state == kBetween && is_ascii_block(at)) {
      continue;
    }
    state = walk(state, at, kBlockBytes);
    if (state == kFailed) {
      break;
    }
  }
  if (state != kBetween || !is_ascii_rest(at, left)) {
    state = walk(state, at, left);
  }
  state_ = state;
  return state != kFailed;
}

bool is_valid_utf8(std::span<const std::uint8_t> text) {
  Utf8Validator validator;
  return validator.accept(text) && validator.complete();
}

}  // namespace websockets
