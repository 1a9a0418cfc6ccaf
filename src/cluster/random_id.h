// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace websockets {

// 16 hexadecimal digits, which nobody else has. Throws std::bad_alloc.
std::string random_id();

}  // namespace websockets
