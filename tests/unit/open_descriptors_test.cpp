// SPDX-License-Identifier: MIT
#include "base/open_descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/unique_fd.h"

namespace websockets {
namespace {

TEST(OpenDescriptors, AreThoseThatThisProcessHas) {
  UniqueFd file(::open("/dev/null", O_RDONLY));
  const int number = file.get();
  const std::vector<int> with = open_descriptors();
  file.reset();
  const std::vector<int> without = open_descriptors();
  EXPECT_TRUE(std::is_sorted(with.begin(), with.end()));
  EXPECT_TRUE(std::binary_search(with.begin(), with.end(), number));
#ifdef __linux__
  EXPECT_FALSE(std::binary_search(without.begin(), without.end(), number));
  EXPECT_EQ(with.size(), without.size() + 1);
#endif
}

}  // namespace
}  // namespace websockets
