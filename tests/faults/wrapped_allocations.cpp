// SPDX-License-Identifier: MIT
// What allocates: C++, Lua, realloc(), OpenSSL, zlib.
#include <openssl/crypto.h>
#include <zlib.h>

#include <cstdlib>
#include <new>

#include "faults.h"

extern "C" void* __real_realloc(void* block, std::size_t bytes);

namespace websockets::faults {

namespace {

void* allocate_for_library(std::size_t bytes) {
  return injector.fails(Kind::kLibraryAllocation) ? nullptr : std::malloc(bytes);
}

// It has to be told before it allocates anything.
[[maybe_unused]] const int openssl_is_told =
    CRYPTO_set_mem_functions([](std::size_t bytes, const char*, int) { return allocate_for_library(bytes); },
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

}  // namespace websockets::faults

using websockets::faults::allocate_for_library;
using websockets::faults::injector;
using websockets::faults::Kind;

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return injector.fails(Kind::kAllocation) ? nullptr : std::malloc(bytes);
}
void* operator new(std::size_t bytes) {
  void* const block = operator new(bytes, std::nothrow);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }

extern "C" {
int __real_deflateInit2_(z_stream* stream, int level, int method, int window_bits, int memory_level, int strategy,
                         const char* version, int stream_bytes);
int __real_inflateInit2_(z_stream* stream, int window_bits, const char* version, int stream_bytes);

void* __wrap_realloc(void* block, size_t bytes) {
  return injector.fails(Kind::kAllocation) ? nullptr : __real_realloc(block, bytes);
}

static void* allocate_for_zlib(void*, uInt count, uInt bytes) {
  return allocate_for_library(static_cast<std::size_t>(count) * bytes);
}
static void free_for_zlib(void*, void* block) { std::free(block); }

int __wrap_deflateInit2_(z_stream* stream, int level, int method, int window_bits, int memory_level, int strategy,
                         const char* version, int stream_bytes) {
  stream->zalloc = allocate_for_zlib;
  stream->zfree = free_for_zlib;
  return __real_deflateInit2_(stream, level, method, window_bits, memory_level, strategy, version, stream_bytes);
}
int __wrap_inflateInit2_(z_stream* stream, int window_bits, const char* version, int stream_bytes) {
  stream->zalloc = allocate_for_zlib;
  stream->zfree = free_for_zlib;
  return __real_inflateInit2_(stream, window_bits, version, stream_bytes);
}
}
