// SPDX-License-Identifier: MIT
#include "cluster/describe_exit.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "forked.h"

namespace websockets {
namespace {

template <typename Function>
std::string end_of(Function function) {
  const pid_t child = ::fork();
  if (child == 0) function();
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return describe_exit(status);
}

TEST(DescribeExit, TellsTheStatus) {
  EXPECT_EQ(end_of([] { ::_exit(3); }), "exit 3");
}

TEST(DescribeExit, TellsTheSignal) {
  EXPECT_EQ(end_of([] {
              ::raise(SIGKILL);
              ::_exit(0);
            }),
            "signal 9 (Killed)");
}

}  // namespace
}  // namespace websockets
