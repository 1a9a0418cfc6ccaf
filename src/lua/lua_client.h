// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "client/client.h"
#include "loop/disposable.h"
#include "lua/callback_table.h"
#include "server/receiver.h"

namespace websockets::lua {

class LuaContext;
struct LuaWebsocket;

// What only a client's userdata has beside LuaWebsocket, until it is closed; it stays in memory as long as the client
// does. To the hub it is a guest.
struct LuaClient final : Receiver, Disposable {
  explicit LuaClient(LuaContext& its_context) : Receiver(true), context(its_context) {}

  LuaContext& context;
  Client* engine = nullptr;  // its user() is the LuaWebsocket; null: it is closed
  int on_open = kNoSlot;
  int on_retry = kNoSlot;
  int url = kNoSlot;      // functions that are called before each attempt
  int headers = kNoSlot;  // the same
  int resumption = kNoSlot;
  std::uint32_t receive_buffer_bytes = 0;
};

}  // namespace websockets::lua
