// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace websockets {

// For Authorization and Proxy-Authorization (RFC 7617): "Basic ..." of "user:password". Throws std::bad_alloc.
std::string basic_authorization(std::string_view userinfo);

}  // namespace websockets
