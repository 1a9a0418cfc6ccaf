// SPDX-License-Identifier: MIT
#include "client/random_masking_keys.h"

#include <openssl/rand.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include <algorithm>
#include <span>

namespace websockets {
namespace {

constexpr std::size_t kBytesPerCall = 256;  // that getentropy() gives at most

}  // namespace

void RandomMaskingKeys::refill() {
  used_ = 0;
  std::span<std::byte> left = std::as_writable_bytes(std::span(keys_));
  while (!left.empty()) {
    const std::span<std::byte> part = left.first(std::min(left.size(), kBytesPerCall));
    // A sandbox may refuse the system call; OpenSSL has been seeded by the system as well.
    if (::getentropy(part.data(), part.size()) != 0) {
      ::RAND_bytes(reinterpret_cast<unsigned char*>(part.data()), static_cast<int>(part.size()));
    }
    left = left.subspan(part.size());
  }
}

}  // namespace websockets
