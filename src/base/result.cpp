// SPDX-License-Identifier: MIT
#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace websockets {

Error system_error(const std::string& what) {
  const int code = errno;
  return {what + ": " + std::generic_category().message(code), code};
}

}  // namespace websockets
