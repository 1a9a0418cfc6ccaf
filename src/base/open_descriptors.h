// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

namespace websockets {

// The descriptors that this process has, in ascending order; where the system has no list of them, all that it could
// have, up to some bound.
std::vector<int> open_descriptors();

}  // namespace websockets
