// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace websockets {

// How a process has ended, from the status of waitpid(2): "exit 3", "signal 9 (Killed)".
std::string describe_exit(int status);

}  // namespace websockets
