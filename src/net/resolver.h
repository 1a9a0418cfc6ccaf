// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "net/socket_address.h"

namespace websockets {

// The name that an address has in the DNS or in the system's other sources; "" until it is known, and when it has none.
// The first call for an address starts a look-up in the background. Never blocks. Throws std::bad_alloc.
std::string reverse_name(const PeerAddress& peer);

}  // namespace websockets
