// SPDX-License-Identifier: MIT
#include "server/topic_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace websockets {
namespace {

// What std::hash of libstdc++ does with 16 bytes, the second half of which is chosen so that all hashes are the same:
// 64 bits of MurmurHash2, each step of which can be undone.
std::vector<std::string> colliding_names(std::size_t count) {
  constexpr std::uint64_t kMul = 0xc6a4a7935bd1e995U;
  constexpr std::uint64_t kInverse = 0x5f7a0ea7e59b19bdU;
  static_assert(kMul * kInverse == 1);
  const auto shift = [](std::uint64_t value) { return value ^ (value >> 47U); };
  const std::uint64_t begin = 0xc70f6907U ^ (16 * kMul);
  std::vector<std::string> names;
  for (std::uint64_t first = 1; names.size() < count; ++first) {
    const std::uint64_t hash = (begin ^ (shift(first * kMul) * kMul)) * kMul;
    const std::uint64_t second = shift((hash ^ 42U) * kInverse) * kInverse;
    std::string name(16, '\0');
    std::memcpy(name.data(), &first, 8);
    std::memcpy(name.data() + 8, &second, 8);
    names.push_back(name);
  }
  return names;
}

std::vector<std::string> usual_names(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("a name, " + std::to_string(10'000'000 + i));
  return names;
}

// Of the processor, the least of several times.
double seconds_to_fill_and_clear(const std::vector<std::string>& names) {
  double least = std::numeric_limits<double>::max();
  for (int turn = 0; turn < 5; ++turn) {
    TopicMap topics;
    const std::clock_t begin = std::clock();
    for (const std::string& name : names) {
      if (topics.find(name) == nullptr) topics.insert(name);
    }
    for (const std::string& name : names) topics.erase(name);
    least = std::min(least, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    EXPECT_EQ(topics.size(), 0U);
  }
  return least;
}

TEST(TopicMapTest, FindsWhatIsThere) {
  TopicMap topics;
  std::map<std::string, Topic*> expected;
  for (const std::string& name : usual_names(1000)) expected[name] = &topics.insert(name);
  EXPECT_EQ(topics.size(), 1000U);
  for (const auto& [name, topic] : expected) {
    ASSERT_EQ(topics.find(name), topic);  // where it was made
    ASSERT_EQ(topic->name, name);
  }
  std::size_t left = expected.size();
  for (const auto& entry : expected) {
    topics.erase(entry.first);
    ASSERT_EQ(topics.find(entry.first), nullptr);
    ASSERT_EQ(topics.size(), --left);
    if (left % 100 != 0) continue;
    std::size_t counted = 0;
    topics.for_each([&](const Topic&) { ++counted; });
    ASSERT_EQ(counted, left);
  }
}

TEST(TopicMapTest, AnyBytesAreAName) {
  TopicMap topics;
  topics.insert("");
  topics.insert(std::string("\0", 1));
  EXPECT_EQ(topics.find("")->name, "");
  EXPECT_EQ(topics.find(std::string_view("\0", 1))->name.size(), 1U);
  EXPECT_EQ(topics.find("\xff"), nullptr);
}

// Where this library has another hash they are names like others.
TEST(TopicMapTest, NamesThatCollideTakeHardlyLonger) {
  constexpr std::size_t kCount = 4000;
  const double usual = seconds_to_fill_and_clear(usual_names(kCount));
  const double colliding = seconds_to_fill_and_clear(colliding_names(kCount));
  EXPECT_LE(colliding, 12 * usual + 0.001);
}

}  // namespace
}  // namespace websockets
