// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"
#include "server/backplane.h"

namespace websockets::lua {

// Pushes what a function returns that has sent something to many.
inline int push_delivery(lua_State* L, DeliveryStatus status) {
  const bool is_sent = status == DeliveryStatus::kDelivered || status == DeliveryStatus::kForwarded;
  lua_pushinteger(L, is_sent ? 0 : -1);
  if (is_sent) return 1;
  lua_pushstring(L, status == DeliveryStatus::kBusy ? "busy" : "closed");
  return 2;
}

// The same with the number of receivers, where it is known.
inline int push_delivery(lua_State* L, DeliveryStatus status, std::size_t receivers) {
  const int count = push_delivery(L, status);
  if (status != DeliveryStatus::kDelivered) return count;
  lua_pushinteger(L, static_cast<lua_Integer>(receivers));
  return count + 1;
}

}  // namespace websockets::lua
