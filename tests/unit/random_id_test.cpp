// SPDX-License-Identifier: MIT
#include "cluster/random_id.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace websockets {
namespace {

TEST(RandomIdTest, Is16DigitsThatNobodyElseHas) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = random_id();
    EXPECT_EQ(id.size(), 16U);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
    EXPECT_TRUE(ids.insert(id).second) << id;
  }
}

}  // namespace
}  // namespace websockets
