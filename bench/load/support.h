// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

[[noreturn]] void die(const std::string& what);
[[noreturn]] void die_of_error(const char* what);

constexpr std::int64_t kSecondNs = 1'000'000'000;

inline std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline double to_seconds(std::int64_t ns) { return static_cast<double>(ns) / 1e9; }
