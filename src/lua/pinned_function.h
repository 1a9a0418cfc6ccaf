// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "lua/callback_table.h"

namespace websockets::lua {

// Releases, without Lua, what CallbackTable::pin_payload() has put into a slot: a function that is to be called later.
class PinnedFunction {
 public:
  // To be kept by something that is copied. Throws std::bad_alloc; then it is released.
  static std::shared_ptr<const PinnedFunction> own(CallbackTable& table, int slot) {
    try {
      return std::make_shared<PinnedFunction>(table, slot);
    } catch (...) {
      table.release_payload(slot);
      throw;
    }
  }

  PinnedFunction(CallbackTable& table, int slot) : table_(table), slot_(slot) {}
  ~PinnedFunction() { table_.release_payload(slot_); }
  PinnedFunction(const PinnedFunction&) = delete;
  PinnedFunction& operator=(const PinnedFunction&) = delete;

  // In the callbacks table.
  int slot() const { return slot_; }

 private:
  CallbackTable& table_;
  int slot_;
};

}  // namespace websockets::lua
