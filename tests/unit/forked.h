// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <exception>

namespace websockets {

// The end of a test's forked process: nothing of the test may go on there. It ends with the test, too.
template <typename Function>
[[noreturn]] void run_in_child(Function succeeds) {
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
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
