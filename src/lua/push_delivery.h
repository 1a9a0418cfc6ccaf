// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"
#include "lua/wrap_websocket.h"
#include "server/backplane.h"

namespace websockets::lua {

// Pushes what a function returns that has sent something to many.
inline int push_delivery(lua_State* L, DeliveryStatus status) {
  switch (status) {
    case DeliveryStatus::kDelivered:
    case DeliveryStatus::kForwarded:
      break;
    case DeliveryStatus::kBusy:
      return push_failure(L, "busy");
    case DeliveryStatus::kClosed:
      return push_failure(L, "closed");
    case DeliveryStatus::kTooLarge:
      return push_failure(L, "too large");
    case DeliveryStatus::kLocalOnly:
      push_status(L, 0);
      lua_pushnil(L);
      lua_pushliteral(L, "local only");
      return 3;
    case DeliveryStatus::kByCluster:
      break;
    case DeliveryStatus::kClusterDown:
      return push_failure(L, "cluster down");
  }
  return push_status(L, 0);
}

// The same with the number of receivers, where it is known.
inline int push_delivery(lua_State* L, DeliveryStatus status, std::size_t receivers) {
  const int count = push_delivery(L, status);
  if (status != DeliveryStatus::kDelivered && status != DeliveryStatus::kLocalOnly) return count;
  lua_pushinteger(L, static_cast<lua_Integer>(receivers));
  if (status == DeliveryStatus::kDelivered) return count + 1;
  lua_replace(L, -3);
  return count;
}

}  // namespace websockets::lua
