// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <vector>

namespace websockets {

// The descriptors above 2 of this process that are one end of a connection, in ascending order, but for those of `own`:
// after a fork each process would take a part of what the peer sends there.
std::vector<int> foreign_sockets(std::span<const int> own);

}  // namespace websockets
