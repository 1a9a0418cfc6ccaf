// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

// How often each value came: 128 buckets for each power of two, so that a value is known to better than 0.4 %. That is
// how an HDR histogram does it, too.
class Histogram {
 public:
  void add(std::uint64_t value) {
    ++counts_[bucket(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }

  // Such a value that this part of all, from 0 to 1, is not above it.
  std::uint64_t percentile(double part) const {
    std::uint64_t result = 0;
    for_each([&](double part_before, double, std::uint64_t value) {
      if (part_before < part) result = value;
    });
    return result;
  }

  // For each bucket that is not empty, in order: which part of all is below it and up to it, and its value.
  template <typename Visit>
  void for_each(Visit visit) const {
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] == 0) continue;
      const double part_before = static_cast<double>(below) / static_cast<double>(count_);
      below += counts_[i];
      visit(part_before, static_cast<double>(below) / static_cast<double>(count_), std::min(middle(i), max_));
    }
  }

 private:
  static constexpr unsigned kBits = 7;
  static constexpr std::size_t kPerPower = 1U << kBits;

  static std::size_t bucket(std::uint64_t value) {
    if (value < kPerPower) return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kBits - 1;
    return (shift * kPerPower) + static_cast<std::size_t>(value >> shift);
  }

  static std::uint64_t middle(std::size_t bucket) {
    if (bucket < 2 * kPerPower) return bucket;
    const std::size_t shift = bucket / kPerPower - 1;
    return (static_cast<std::uint64_t>(bucket - shift * kPerPower) << shift) + ((std::uint64_t{1} << shift) / 2);
  }

  std::array<std::uint64_t, (64 - kBits + 1) * kPerPower> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};
