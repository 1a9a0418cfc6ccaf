// SPDX-License-Identifier: MIT
#include "client/final_close.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

TEST(FinalCloseTest, KnowsWhichCodesAre) {
  for (const unsigned code : {1002U, 1003U, 1007U, 1008U, 1009U, 1010U}) {
    EXPECT_TRUE(is_final_close(static_cast<CloseCode>(code))) << code;
  }
  for (const unsigned code : {0U, 1000U, 1001U, 1004U, 1005U, 1006U, 1011U, 1012U, 1013U, 1014U, 1015U, 3000U, 4999U}) {
    EXPECT_FALSE(is_final_close(static_cast<CloseCode>(code))) << code;
  }
}

}  // namespace
}  // namespace websockets
