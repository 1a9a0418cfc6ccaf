// SPDX-License-Identifier: MIT
// Makes the allocations of one thread fail, where the program has failing_allocations.cpp and
// ../support/wrapped_allocations.cpp in it.
#pragma once

#include <cstddef>

namespace websockets {

// While there is one, its n-th allocation fails, the first one is 1, and all the others succeed.
class FailingAllocation {
 public:
  explicit FailingAllocation(std::size_t nth) {
    left = nth;
    has_failed_ = false;
  }
  ~FailingAllocation() { left = 0; }
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  // What the test itself allocates meanwhile is not counted.
  class Pause {
   public:
    Pause() { ++pauses; }
    ~Pause() { --pauses; }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;
  };

  bool has_failed() const { return has_failed_; }
  // Called by each allocation.
  static bool fails() {
    if (left == 0 || pauses > 0 || --left > 0) return false;
    has_failed_ = true;
    return true;
  }

 private:
  static inline thread_local std::size_t left = 0;
  static inline thread_local std::size_t pauses = 0;
  static inline thread_local bool has_failed_ = false;
};

}  // namespace websockets
