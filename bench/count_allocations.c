// SPDX-License-Identifier: MIT
//
// Usage: LD_PRELOAD=count_allocations.so ALLOCATIONS_FILE=FILE PROGRAM...
//
// Counts the calls of malloc, calloc, realloc and free, in this order, in the file, while the program runs: each a
// number of 8 bytes as they stand in memory. So another process can read along. For glibc. To build it:
//   cc -O2 -shared -fPIC -o count_allocations.so bench/count_allocations.c

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* pointer, size_t size);
void __libc_free(void* pointer);

enum { kMalloc, kCalloc, kRealloc, kFree, kCounts };

typedef _Atomic unsigned long long Count;

static Count uncounted[kCounts];  // until there is a file
static Count* counts = uncounted;

static void count(int what) { atomic_fetch_add_explicit(&counts[what], 1, memory_order_relaxed); }

__attribute__((constructor)) static void map_file(void) {
  const char* path = getenv("ALLOCATIONS_FILE");
  if (path == NULL) return;
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof uncounted) != 0) {
    perror(path);
    exit(1);
  }
  void* const mapped = mmap(NULL, sizeof uncounted, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  counts = mapped;
}

void* malloc(size_t size) {
  count(kMalloc);
  return __libc_malloc(size);
}

void* calloc(size_t number, size_t size) {
  count(kCalloc);
  return __libc_calloc(number, size);
}

void* realloc(void* pointer, size_t size) {
  count(kRealloc);
  return __libc_realloc(pointer, size);
}

void free(void* pointer) {
  count(kFree);
  __libc_free(pointer);
}
