// SPDX-License-Identifier: MIT
#include "client/random_masking_keys.h"

#include <gtest/gtest.h>

#include <bitset>
#include <set>

namespace websockets {
namespace {

TEST(RandomMaskingKeys, EachIsAnotherOne) {
  RandomMaskingKeys keys;
  std::set<std::uint32_t> seen;
  constexpr std::size_t kCount = 1000;  // more than are kept
  for (std::size_t count = 0; count < kCount; ++count) seen.insert(keys.next());
  // That two of them are alike happens once in 8000 times; three pairs never.
  EXPECT_GE(seen.size(), kCount - 2);
}

TEST(RandomMaskingKeys, EachBitIsSetAsOftenAsNot) {
  RandomMaskingKeys keys;
  std::array<int, 32> set{};
  constexpr int kCount = 10'000;
  for (int count = 0; count < kCount; ++count) {
    const std::bitset<32> key(keys.next());
    for (std::size_t bit = 0; bit < 32; ++bit) set[bit] += key[bit] ? 1 : 0;
  }
  // Ten times the standard deviation, which is 50.
  for (const int times : set) EXPECT_NEAR(times, kCount / 2, 500);
}

TEST(RandomMaskingKeys, NoneIsLeftAfterDiscard) {
  RandomMaskingKeys parent;
  parent.next();
  RandomMaskingKeys child = parent;  // what a fork does
  child.discard();
  std::set<std::uint32_t> of_parent;
  for (int count = 0; count < 100; ++count) of_parent.insert(parent.next());
  int common = 0;
  for (int count = 0; count < 100; ++count) common += static_cast<int>(of_parent.count(child.next()));
  EXPECT_LE(common, 1);
}

}  // namespace
}  // namespace websockets
