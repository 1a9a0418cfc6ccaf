// SPDX-License-Identifier: MIT
// Lets one call of the module fail: an allocation, or a system call.
#pragma once

#include <cstddef>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace websockets::faults {

enum class Kind {
  kNone,
  kAllocation,         // of C++ or of Lua
  kLibraryAllocation,  // of OpenSSL or zlib
  kInputOutput,        // moves bytes, or waits for them
  kWatch,              // lets them be waited for
  kOpen,               // makes something: a descriptor, a file, a process, a thread
};

// Counts the calls of a kind that this thread makes, and fails one of them, or tells them apart by where they are made.
class Injector {
 public:
  // The call of this number, from 1 on, fails; a system call with this error; with 0 it moves one byte only.
  void arm(Kind kind, long number, int error = 0);
  // True: the call was made. Nothing fails any more.
  bool disarm();
  // Lists the calls of a kind from now on, of those by the same way (the same functions at the end of the stack,
  // at the same places) the first one.
  void record(Kind kind);
  // Their numbers, and one more than there were calls.
  std::vector<long> recorded();
  // Each system call of this name fails with this error, as long as there is an end of them.
  void refuse(std::string_view call, int error);
  bool refuses() const { return !refused_call_.empty(); }
  // How many there were. Nothing is refused any more.
  long stop_refusing();
  // Whether this call fails.
  bool fails(Kind kind, std::string_view call = {});
  int error() const { return error_; }

  int pauses = 0;  // while there are any, nothing is counted

 private:
  Kind kind_ = Kind::kNone;
  long left_ = 0;
  int error_ = 0;
  bool records_ = false;
  long count_ = 0;
  std::set<std::vector<void*>> ways_;
  std::vector<long> recorded_;
  std::string_view refused_call_;
  long refused_count_ = 0;
};

extern Injector injector;

// For lua_newstate(): its blocks that grow are allocations.
void* allocate_for_lua(void*, void* block, std::size_t old_bytes, std::size_t bytes);

// What the test itself does in between fails never.
class Pause {
 public:
  Pause() { ++injector.pauses; }
  ~Pause() { --injector.pauses; }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
};

// But for what the server does.
class Unpause {
 public:
  Unpause() : kept_(std::exchange(injector.pauses, 0)) {}
  ~Unpause() { injector.pauses = kept_; }
  Unpause(const Unpause&) = delete;
  Unpause& operator=(const Unpause&) = delete;

 private:
  int kept_;
};

}  // namespace websockets::faults
