// SPDX-License-Identifier: MIT
// What allocates: beside what wrapped_allocations.cpp has, OpenSSL.
#include "failing_allocations.h"

#include <openssl/crypto.h>

#include <cstdlib>

#include "wrapped_allocations.h"

namespace websockets {

bool allocation_fails() { return FailingAllocation::fails(); }
bool zlib_allocation_fails() { return FailingAllocation::fails(); }

namespace {

// It has to be told before it allocates anything.
[[maybe_unused]] const int openssl_is_told = CRYPTO_set_mem_functions(
    [](std::size_t bytes, const char*, int) { return FailingAllocation::fails() ? nullptr : std::malloc(bytes); },
    [](void* block, std::size_t bytes, const char*, int) { return std::realloc(block, bytes); },
    [](void* block, const char*, int) { std::free(block); });

}  // namespace
}  // namespace websockets
