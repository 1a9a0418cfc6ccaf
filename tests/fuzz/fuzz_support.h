// SPDX-License-Identifier: MIT
// What the fuzz targets share. Each one checks by GoogleTest's EXPECT and ASSERT, which end the process here, so that
// the helpers of tests/unit serve both.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace websockets::fuzz {

// The input of one run, taken from its front. At the end of it there are zeros.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  unsigned byte() {
    if (rest_.empty()) return 0;
    const unsigned value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  // Below `limit`, which is at most 65536.
  std::size_t below(std::size_t limit) {
    const std::size_t high = byte();
    return (high * 256 + byte()) % limit;
  }
  // Up to the next line feed, which is left out.
  std::string_view line() {
    const std::string_view all = text();
    const std::string_view taken = all.substr(0, all.find('\n'));
    rest_ = rest_.subspan(std::min(rest_.size(), taken.size() + 1));
    return taken;
  }
  std::span<const std::uint8_t> rest() const { return rest_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(rest_.data()), rest_.size()}; }

 private:
  std::span<const std::uint8_t> rest_;
};

// Ascending places to cut `size` bytes at.
inline std::vector<std::size_t> take_cuts(Input& input, std::size_t size) {
  std::vector<std::size_t> cuts(input.byte() % 8);
  for (std::size_t& cut : cuts) cut = input.below(size + 1);
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

}  // namespace websockets::fuzz

// Called by libFuzzer, so used, although nothing here says so. A failure is thrown, which nobody catches.
extern "C" [[gnu::used]] inline int LLVMFuzzerInitialize(int*, char***) {
  testing::FLAGS_gtest_throw_on_failure = true;
  return 0;
}
