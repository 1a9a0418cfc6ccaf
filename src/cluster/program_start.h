// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace websockets {

// How a program is started.
struct ProgramStart {
  std::vector<std::string> command;  // the program and its arguments; empty: not known
  std::string directory;             // where; "": not known
};

// How this process was: as far as the system tells, at the time of the first call. A directory is told by the name that
// it was entered by, as the shell does: a symbolic link there may lead to another one later.
const ProgramStart& program_start();

// Starts a program beside this one, as a child. It has of this process the standard descriptors, `kept`, whose number
// is in its environment variable `variable`, and nothing else: all other descriptors are closed, signals are what they
// were when this one was started. Waits until the system has loaded it. Error: it cannot be started.
Result<pid_t> start_program(const ProgramStart& start, const std::string& variable, int kept);

}  // namespace websockets
