// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>

namespace websockets {

// The end of a test's forked process: nothing of the test may go on there.
template <typename Function>
[[noreturn]] void run_in_child(Function succeeds) {
  int status = 1;
  try {
    if (succeeds()) status = 0;
  } catch (const std::exception&) {
  }
  ::_exit(status);
}

// Whether the child's function has succeeded.
inline bool has_succeeded(pid_t child) {
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace websockets
