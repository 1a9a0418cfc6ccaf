// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "net/socket_address.h"

namespace websockets {

// The order in which addresses are tried (RFC 8305 4): families alternate, the first one's family begins, and each
// family keeps the order that the resolver gave it (RFC 6724).
std::vector<SocketAddress> interleave_families(const std::vector<SocketAddress>& addresses);

}  // namespace websockets
