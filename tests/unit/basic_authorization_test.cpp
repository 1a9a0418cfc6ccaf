// SPDX-License-Identifier: MIT
#include "http/basic_authorization.h"

#include <gtest/gtest.h>

namespace websockets {
namespace {

// RFC 7617 2 and 2.1.
TEST(BasicAuthorizationTest, EncodesTheExamplesOfTheStandard) {
  EXPECT_EQ(basic_authorization("Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  EXPECT_EQ(basic_authorization("test:123\xc2\xa3"), "Basic dGVzdDoxMjPCow==");
}

}  // namespace
}  // namespace websockets
