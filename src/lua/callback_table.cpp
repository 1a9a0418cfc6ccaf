// SPDX-License-Identifier: MIT
#include "lua/callback_table.h"

#include <utility>

#include "lua/guarded.h"

namespace websockets::lua {

void CallbackTable::set_slot(lua_State* L, int callbacks, int& slot) {
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return free_slot(L, callbacks, slot);
  }
  if (slot != kNoSlot) return lua_rawseti(L, callbacks, slot);
  if (first_free_slot_ == kNoSlot) {
    lua_rawseti(L, callbacks, slot_count_ + 1);
    slot = ++slot_count_;
    return;
  }
  lua_rawgeti(L, callbacks, first_free_slot_);
  slot = std::exchange(first_free_slot_, static_cast<int>(lua_tointeger(L, -1)));
  lua_pop(L, 1);
  lua_rawseti(L, callbacks, slot);
}

void CallbackTable::free_slot(lua_State* L, int callbacks, int& slot) {
  if (slot == kNoSlot) return;
  lua_pushinteger(L, first_free_slot_);
  lua_rawseti(L, callbacks, slot);
  first_free_slot_ = std::exchange(slot, kNoSlot);
}

int CallbackTable::pin_payload(lua_State* L, int callbacks, int index) {
  drop_released_payloads(L, callbacks);
  guarded(L, [&] {
    const std::size_t needed = pinned_payloads_ + 1;
    if (released_payloads_.capacity() < needed) released_payloads_.reserve(2 * needed);
  });
  int slot = kNoSlot;
  lua_pushvalue(L, index);
  set_slot(L, callbacks, slot);
  ++pinned_payloads_;
  return slot;
}

void CallbackTable::drop_released_payloads(lua_State* L, int callbacks) {
  for (; !released_payloads_.empty(); released_payloads_.pop_back()) {
    free_slot(L, callbacks, released_payloads_.back());
    --pinned_payloads_;
  }
}

}  // namespace websockets::lua
