// SPDX-License-Identifier: MIT
#include "base/malloc_tuning.h"

#include <algorithm>
#include <cstdlib>

namespace websockets {

void raise_trim_threshold(std::size_t bytes) {
#ifdef __GLIBC__
  constexpr std::size_t kLargestBytes = 31U << 20U;  // beyond 32 MiB it learns nothing
  static const bool was_called = [&] {
    void* volatile block = std::malloc(std::min(bytes, kLargestBytes));
    std::free(block);
    return true;
  }();
  static_cast<void>(was_called);
#else
  static_cast<void>(bytes);
#endif
}

}  // namespace websockets
