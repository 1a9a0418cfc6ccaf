// SPDX-License-Identifier: MIT
#include "http/basic_authorization.h"

#include "base/base64.h"
#include "base/bytes.h"

namespace websockets {

std::string basic_authorization(std::string_view userinfo) {
  return std::string("Basic ").append(encode_base64(as_bytes(userinfo)));
}

}  // namespace websockets
