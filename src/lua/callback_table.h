// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include "lua/compat.h"

namespace websockets::lua {

// The places of a callbacks table that have a fixed meaning; the functions of the protocols follow, then free slots.
enum Slot : int {
  kNoSlot = 0,
  kContext,         // the userdata of the context itself
  kWeakContext,     // a table that refers to it, but does not keep it
  kTrampoline,      // runs a C++ function in protected mode
  kMessageHandler,  // adds a traceback to an error
  kOnHttp,
  kOnError,
  kOnAddFd,
  kOnDelFd,
  kOnUpgrade,
  kInterruption,  // the error that raise_interruption() raises
  kOnRefused,
  kWaits,  // a table of waits.lua, once somebody waits; else false
  kOnCluster,
  kWrap,  // of history
  kOnWorker,
  kOnWorkerExit,
  kFirstProtocol,
};

// Which slots of a context's callbacks table are free. The functions of the context, and the userdata of its open
// websockets, are in that one table, which only the userdata of the context and of its websockets refer to: so cycles
// can be collected. `callbacks` is always its stack index.
class CallbackTable {
 public:
  // So many functions of protocols are in it already.
  void begin(std::size_t protocols) { slot_count_ = kFirstProtocol + static_cast<int>(protocols) - 1; }

  // Puts the value on top of the stack, which is taken, into a slot; `slot` is kNoSlot when it had none yet. nil frees
  // the slot. May raise, but leaves all as it was then.
  void set_slot(lua_State* L, int callbacks, int& slot);
  // Never raises.
  void free_slot(lua_State* L, int callbacks, int& slot);

  // Keeps the string at `index` until the payload is released. May raise, but leaves all as it was then.
  int pin_payload(lua_State* L, int callbacks, int index);
  // Takes no memory, and no Lua: its slot is freed by drop_released_payloads().
  void release_payload(int handle) { released_payloads_.push_back(handle); }
  void drop_released_payloads(lua_State* L, int callbacks);

 private:
  int slot_count_ = 0;             // slots ever used
  int first_free_slot_ = kNoSlot;  // each free slot holds the number of the next
  std::size_t pinned_payloads_ = 0;
  std::vector<int> released_payloads_;  // slots that are to be freed; there is room for all that are pinned
};

}  // namespace websockets::lua
