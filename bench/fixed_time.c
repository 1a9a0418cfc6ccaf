// SPDX-License-Identifier: MIT
//
// Usage: LD_PRELOAD=fixed_time.so FIXED_TIME=SECONDS PROGRAM...
//
// time() returns always the same. Lua makes from it, and from addresses, the seed of its hashes, and so of which names
// collide in its tables: what a message costs differs by some instructions from start to start without it.
// To build it:
//   cc -O2 -shared -fPIC -o fixed_time.so bench/fixed_time.c

#include <stdlib.h>
#include <time.h>

time_t time(time_t* result) {
  const char* const text = getenv("FIXED_TIME");
  const time_t seconds = text == NULL ? 0 : atol(text);
  if (result != NULL) *result = seconds;
  return seconds;
}
