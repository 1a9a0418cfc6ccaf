// SPDX-License-Identifier: MIT
#include "server/connection.h"

#include <gtest/gtest.h>

#include "server/socket_connection.h"

namespace websockets {
namespace {

// Each open websocket takes one.
TEST(Connection, IsSmall) {
  if (sizeof(void*) == 8) {
    EXPECT_LE(sizeof(SocketConnection), 336U);
  }
}

}  // namespace
}  // namespace websockets
