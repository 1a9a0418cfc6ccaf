// SPDX-License-Identifier: MIT
// Lets one call fail: an allocation, of C++ or of Lua, or a system call that moves bytes, or one that watches for them.
#pragma once

#include <cstddef>
#include <lua.hpp>

namespace websockets::faults {

enum class Kind { kNone, kAllocation, kInputOutput, kWatch };

// Counts the calls of a kind, and fails one of them.
class Injector {
 public:
  // The call of this number, from 1 on, fails; a system call with this error; with 0 it moves one byte only.
  void arm(Kind kind, long number, int error = 0);
  // True: the call was made. Nothing fails any more.
  bool disarm();
  // Whether this call is the one.
  bool fails(Kind kind);
  int error() const { return error_; }

 private:
  Kind kind_ = Kind::kNone;
  long left_ = 0;
  int error_ = 0;
};

extern Injector injector;

// For lua_newstate(): its blocks that grow are allocations.
void* allocate_for_lua(void*, void* block, std::size_t old_bytes, std::size_t bytes);

// What the test itself does in between fails never.
class Pause {
 public:
  Pause() : kept_(injector) { injector = {}; }
  ~Pause() { injector = kept_; }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

 private:
  Injector kept_;
};

}  // namespace websockets::faults
