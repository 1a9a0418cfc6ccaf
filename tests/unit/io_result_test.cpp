// SPDX-License-Identifier: MIT
#include "net/io_result.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

// Two registers.
static_assert(sizeof(IoResult) <= 16);

TEST(IoResult, AFailureThatPassesIsNone) {
  for (const int error : {EAGAIN, EWOULDBLOCK, EINTR, ENOBUFS, ENOMEM}) {
    EXPECT_EQ(io_failure(error).status, IoStatus::kWouldBlock) << error;
    EXPECT_EQ(io_failure(error).bytes, 0U);
  }
  for (const int error : {EPIPE, ECONNRESET, EBADF, ETIMEDOUT}) {
    EXPECT_EQ(io_failure(error).status, IoStatus::kFailed) << error;
    EXPECT_EQ(io_failure(error).error, error);
  }
}

}  // namespace
}  // namespace websockets
