// SPDX-License-Identifier: MIT
#include "cluster/random_id.h"

#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <new>

namespace websockets {

std::string random_id() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<std::uint8_t, 8> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) throw std::bad_alloc();
  std::string id;
  for (const std::uint8_t byte : bytes) {
    id += kDigits[byte >> 4U];
    id += kDigits[byte & 15U];
  }
  return id;
}

}  // namespace websockets
