// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

namespace websockets {

// Validates UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF) as it arrives,
// split anywhere. Copyable; one byte.
class Utf8Validator {
 public:
  // False as soon as `bytes`, after all that came before, cannot be the start of valid text any more:
  // at the first impossible byte. After false the validator is of no use until reset().
  bool accept(std::span<const std::uint8_t> bytes);

  // Whether what was accepted ends at a character's end.
  bool complete() const { return state_ == kBetweenCharacters; }

  void reset() { *this = Utf8Validator(); }

 private:
  static constexpr std::uint8_t kBetweenCharacters = 6;

  // The state of the automaton in utf8.cpp: how far its transitions are shifted, so always a multiple of 6.
  std::uint8_t state_ = kBetweenCharacters;
};

// Of a whole text.
bool is_valid_utf8(std::span<const std::uint8_t> text);

}  // namespace websockets
