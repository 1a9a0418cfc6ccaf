// SPDX-License-Identifier: MIT
// What allocates: beside what wrapped_allocations.cpp has, Lua and OpenSSL.
#include <openssl/crypto.h>

#include <cstdlib>

#include "faults.h"
#include "wrapped_allocations.h"

extern "C" void* __real_realloc(void* block, std::size_t bytes);

namespace websockets {

bool allocation_fails() { return faults::injector.fails(faults::Kind::kAllocation); }
bool zlib_allocation_fails() { return faults::injector.fails(faults::Kind::kLibraryAllocation); }

namespace faults {
namespace {

// It has to be told before it allocates anything.
[[maybe_unused]] const int openssl_is_told = CRYPTO_set_mem_functions(
    [](std::size_t bytes, const char*, int) {
      return injector.fails(Kind::kLibraryAllocation) ? nullptr : std::malloc(bytes);
    },
    [](void* block, std::size_t bytes, const char*, int) {
      return injector.fails(Kind::kLibraryAllocation) ? nullptr : __real_realloc(block, bytes);
    },
    [](void* block, const char*, int) { std::free(block); });

}  // namespace

void* allocate_for_lua(void*, void* block, std::size_t old_bytes, std::size_t bytes) {
  if (bytes == 0) {
    std::free(block);
    return nullptr;
  }
  // Lua relies on blocks that shrink.
  if ((block == nullptr || bytes > old_bytes) && injector.fails(Kind::kAllocation)) return nullptr;
  return __real_realloc(block, bytes);
}

}  // namespace faults
}  // namespace websockets
