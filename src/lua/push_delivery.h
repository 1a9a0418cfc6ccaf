// SPDX-License-Identifier: MIT
#pragma once

#include "lua/compat.h"
#include "server/backplane.h"

namespace websockets::lua {

// Why a message was not sent; nullptr: it was.
inline const char* delivery_failure(DeliveryStatus status) {
  switch (status) {
    case DeliveryStatus::kBusy:
      return "busy";
    case DeliveryStatus::kClosed:
      return "closed";
    case DeliveryStatus::kTooLarge:
      return "too large";
    default:
      return nullptr;
  }
}

// Pushes what a function returns that has sent something to many.
inline int push_delivery(lua_State* L, DeliveryStatus status) {
  const char* const failure = delivery_failure(status);
  lua_pushinteger(L, failure == nullptr ? 0 : -1);
  if (failure == nullptr) return 1;
  lua_pushstring(L, failure);
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
