// SPDX-License-Identifier: MIT
// What allocates: C++, realloc(), zlib.
#include "wrapped_allocations.h"

#include <zlib.h>

#include <cstdlib>
#include <new>

using websockets::allocation_fails;
using websockets::zlib_allocation_fails;

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocation_fails() ? nullptr : std::malloc(bytes);
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

#ifdef __linux__
// By the linker's --wrap.
extern "C" {
void* __real_realloc(void* block, std::size_t bytes);
int __real_deflateInit2_(z_stream* stream, int level, int method, int window_bits, int memory_level, int strategy,
                         const char* version, int stream_bytes);
int __real_inflateInit2_(z_stream* stream, int window_bits, const char* version, int stream_bytes);

void* __wrap_realloc(void* block, std::size_t bytes) {
  return allocation_fails() ? nullptr : __real_realloc(block, bytes);
}

static void* allocate_for_zlib(void*, uInt count, uInt bytes) {
  return zlib_allocation_fails() ? nullptr : std::malloc(static_cast<std::size_t>(count) * bytes);
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
#endif
