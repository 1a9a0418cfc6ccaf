// SPDX-License-Identifier: MIT
#include "base/interrupted.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

TEST(Interrupted, IsTriedAgainButNotForEver) {
  int calls = 0;
  EXPECT_EQ(retry_interrupted([&] { return errno = EINTR, ++calls < 3 ? -1 : 7; }), 7);
  EXPECT_EQ(calls, 3);
  calls = 0;
  EXPECT_EQ(retry_interrupted([&] { return errno = EINTR, ++calls, -1; }), -1);
  EXPECT_EQ(calls, 16);
  calls = 0;
  EXPECT_EQ(retry_interrupted([&] { return errno = EPERM, ++calls, -1; }), -1);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace websockets
