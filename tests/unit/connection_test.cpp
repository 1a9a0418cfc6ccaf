// SPDX-License-Identifier: MIT
#include "server/connection.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

// Each open websocket takes one.
TEST(Connection, IsSmall) {
  if (sizeof(void*) == 8) {
    EXPECT_LE(sizeof(Connection), 336U);
  }
}

}  // namespace
}  // namespace websockets
