// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace websockets {

// RFC 4648 4, with its padding. Throws std::bad_alloc.
std::string encode_base64(std::span<const std::uint8_t> bytes);

}  // namespace websockets
