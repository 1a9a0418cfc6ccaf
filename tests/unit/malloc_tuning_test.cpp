// SPDX-License-Identifier: MIT
#include "base/malloc_tuning.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>

#include "forked.h"

namespace websockets {
namespace {

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

// In a process of its own, as it works once.
TEST(MallocTuning, LargeBlocksStayWithTheProcess) {
  const pid_t child = ::fork();
  if (child == 0) {
    run_in_child([] {
      constexpr std::size_t kBytes = 8U << 20U;
      raise_trim_threshold(kBytes);
      void* volatile block = std::malloc(kBytes / 2);
      const void* const heap_end = ::sbrk(0);
      const bool is_mapped = ::mallinfo2().hblkhd >= kBytes / 2;
      std::free(block);
      return !is_mapped && ::sbrk(0) == heap_end;
    });
  }
  EXPECT_TRUE(has_succeeded(child));
}

#else

TEST(MallocTuning, ChangesNothing) { raise_trim_threshold(8U << 20U); }

#endif

}  // namespace
}  // namespace websockets
