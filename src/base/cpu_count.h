// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace websockets {

// How many processors this process can keep busy: those that it may run on, but no more than cpu_quota() pays for. At
// least 1.
int cpu_count();

// The smallest CPU quota of this process's control group and of the groups around it, in processors, rounded up; 0:
// there is none. `root` is put before the names of all files that tell it.
int cpu_quota(const std::string& root = "");

}  // namespace websockets
