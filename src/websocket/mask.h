// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace websockets {

// XORs `data` in place with the masking key (RFC 6455 5.3). `key` holds the four key bytes as they stand
// in memory; `offset` is the position of data[0] within the frame's payload, so that a payload can be
// unmasked piece by piece. Any alignment and any size.
void apply_mask(std::span<std::uint8_t> data, std::uint32_t key, std::uint64_t offset);

}  // namespace websockets
