// SPDX-License-Identifier: MIT
#include "base/base64.h"

#include <openssl/evp.h>

#include <cstddef>

namespace websockets {

std::string encode_base64(std::span<const std::uint8_t> bytes) {
  const std::size_t size = (bytes.size() + 2) / 3 * 4;
  std::string text(size, '\0');
  // EVP_EncodeBlock() ends it with a NUL, which is where a string has one, too.
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  return text;
}

}  // namespace websockets
