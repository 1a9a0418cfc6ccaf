// SPDX-License-Identifier: MIT
#pragma once

#include <map>

#include "websocket/ping_log.h"

namespace websockets::lua {

struct LuaWebsocket;

// What websockets need that ping their peers or are told of pongs; the others take no memory for it.
class LuaPings {
 public:
  struct Pings {
    PingLog log;
    int on_pong = 0;  // slot, or kNoSlot
  };

  // Throws std::bad_alloc.
  Pings& of(const LuaWebsocket& ws) { return pings_[&ws]; }
  // Null: it has none.
  Pings* find(const LuaWebsocket& ws) {
    const auto found = pings_.find(&ws);
    return found == pings_.end() ? nullptr : &found->second;
  }
  void remove(const LuaWebsocket& ws) { pings_.erase(&ws); }

 private:
  std::map<const LuaWebsocket*, Pings> pings_;
};

}  // namespace websockets::lua
