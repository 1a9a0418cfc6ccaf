// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>

namespace websockets {

// Validates UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF) as it arrives,
// split anywhere. Copyable; a few bytes.
class Utf8Validator {
 public:
  // False as soon as `bytes`, after all that came before, cannot be the start of valid text any more:
  // at the first impossible byte. After false the validator is of no use until reset().
  bool accept(std::span<const std::uint8_t> bytes);

  // Whether what was accepted ends at a character's end.
  bool complete() const { return needed_ == 0; }

  void reset() { *this = Utf8Validator(); }

 private:
  // How many continuation bytes are missing, and the range that the next one must be in.
  std::uint8_t needed_ = 0;
  std::uint8_t lowest_ = 0x80;
  std::uint8_t highest_ = 0xBF;
};

}  // namespace websockets
