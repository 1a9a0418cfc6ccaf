// SPDX-License-Identifier: MIT
#include "base/process_environment.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace websockets {
namespace {

TEST(ProcessEnvironmentTest, TellsWhatIsSet) {
  ::setenv("websockets_test_variable", "a", 1);
  EXPECT_STREQ(process_environment("websockets_test_variable"), "a");
  ::unsetenv("websockets_test_variable");
  EXPECT_EQ(process_environment("websockets_test_variable"), nullptr);
}

}  // namespace
}  // namespace websockets
