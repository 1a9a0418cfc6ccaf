// SPDX-License-Identifier: MIT
#pragma once

namespace websockets {

// The value of an environment variable; null: it is not set, or this process has more rights than who started it
// (secure_getenv(3)).
const char* process_environment(const char* name);

}  // namespace websockets
