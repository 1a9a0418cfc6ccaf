// SPDX-License-Identifier: MIT
#include "cluster/describe_exit.h"

#include <sys/wait.h>

#include <cstring>

namespace websockets {

std::string describe_exit(int status) {
  if (WIFEXITED(status)) return "exit " + std::to_string(WEXITSTATUS(status));
  const int number = WTERMSIG(status);
  return "signal " + std::to_string(number) + " (" + ::strsignal(number) + ")";
}

}  // namespace websockets
