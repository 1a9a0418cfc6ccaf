// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "lua/option_reader.h"

// The kinds of values that options have which are read in several places.

namespace websockets::lua {

constexpr double kMaxBytes = 9007199254740992.0;  // 2^53: exact in every Lua's numbers
constexpr double kMaxSeconds = 1e9;
constexpr double kMaxSilenceSeconds = 1e6;  // in milliseconds this has to fit into 31 bits
constexpr double kMaxCount = 1e9;

inline void read_milliseconds(OptionReader& reader, const char* name, double least, double most, const char* expected,
                              std::uint64_t& milliseconds) {
  double seconds = -1;
  reader.read_number(name, least, most, expected, seconds);
  if (seconds >= 0) milliseconds = static_cast<std::uint64_t>(std::ceil(seconds * 1000));
}

inline void read_seconds(OptionReader& reader, const char* name, std::uint64_t& milliseconds) {
  constexpr double kLeastSeconds = std::numeric_limits<double>::min();
  read_milliseconds(reader, name, kLeastSeconds, kMaxSeconds, "a number of seconds above 0, up to 1e9", milliseconds);
}

// 0 is off.
inline void read_optional_seconds(OptionReader& reader, const char* name, std::uint64_t& milliseconds) {
  read_milliseconds(reader, name, 0, kMaxSilenceSeconds, "0, or a number of seconds up to 1e6", milliseconds);
}

// 0 is off.
inline void read_count(OptionReader& reader, const char* name, std::size_t& count) {
  reader.read_whole(name, 0, kMaxCount, "a whole number up to 1e9, 0 for any number", count);
}

template <typename Size>
inline void read_bytes(OptionReader& reader, const char* name, Size& bytes) {
  reader.read_whole(name, 1, kMaxBytes, "a number of bytes above 0, up to 2^53", bytes);
}

}  // namespace websockets::lua
