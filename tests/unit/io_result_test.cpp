// SPDX-License-Identifier: MIT
#include "net/io_result.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

TEST(IoResult, AFailureThatPassesIsNone) {
  for (const int error : {EAGAIN, EWOULDBLOCK, EINTR, ENOBUFS, ENOMEM}) {
    EXPECT_EQ(io_failure(error).status, IoStatus::kWouldBlock) << error;
    EXPECT_EQ(io_failure(error).bytes, 0U);
  }
  for (const int error : {EPIPE, ECONNRESET, EBADF, ETIMEDOUT}) {
    EXPECT_EQ(io_failure(error).status, IoStatus::kFailed) << error;
  }
}

}  // namespace
}  // namespace websockets
