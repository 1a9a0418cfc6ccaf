// SPDX-License-Identifier: MIT
#include "base/process_environment.h"

#include <unistd.h>

#include <cstdlib>

namespace websockets {

const char* process_environment(const char* name) {
#ifdef __linux__
  return secure_getenv(name);
#else
  return issetugid() != 0 ? nullptr : std::getenv(name);
#endif
}

}  // namespace websockets
