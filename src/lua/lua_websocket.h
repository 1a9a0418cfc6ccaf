// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "lua/compat.h"
#include "lua/userdata.h"

namespace websockets {
class Carrier;
class Connection;
}  // namespace websockets

namespace websockets::lua {

class CallbackTable;
struct LuaClient;

// What lies behind a websocket's userdata: a server's, or a client. The callbacks table keeps it while the connection
// is open, or answers requests, and until the client is closed.
struct LuaWebsocket {
  static constexpr char kType[] = "websockets.websocket";

  union {
    Connection* connection;  // null: closed
    LuaClient* client;       // of one that is_client
  };
  int self;        // slots, or kNoSlot
  int on_receive;  // of one that has_inbox: its Inbox
  union {
    int on_receive_chunk;
    int close_code;  // when it is closed; 0: it was no websocket yet
  };
  int on_closed;
  int on_broadcast;
  union {
    int on_server_writeable;
    int closed_fd;  // when it is closed: of the connection, which may be sending still
  };
  union {
    int request;
    std::uint32_t closed_serial;  // what tells that connection from others with the same descriptor
  };
  bool has_asked_for_request;  // so it is kept
  bool is_client;
  // Why nothing is read: the user's flow control, an inbox that is full, messages that a new function has to get first.
  bool is_paused : 1;
  bool is_full : 1;
  bool is_flushing : 1;
  bool has_inbox : 1;        // when it is closed: with messages in it
  bool has_waiters : 1;      // threads that wait for something else than messages
  bool was_closed_here : 1;  // by close() or terminate()
  bool resumes : 1;          // a client that has a resumption, also when it is closed
};
static_assert(sizeof(Userdata<LuaWebsocket>) <= 48, "each open websocket has one: see LuaPings for what few need");

// The websocket that is the first argument.
inline LuaWebsocket& check_websocket(lua_State* L) { return check_object<LuaWebsocket>(L, 1); }

// Null: the connection has none.
LuaWebsocket* websocket_of(const Carrier& carrier);
// Pushes the userdata of a websocket that has no connection yet. May run finalizers, which may do anything.
void push_blank_websocket(lua_State* L);
// Makes the blank websocket on top of the stack that of the connection, or puts in its place the one that it has. Runs
// no finalizers.
LuaWebsocket& attach_websocket(lua_State* L, CallbackTable& table, int callbacks, Connection& connection);
// Pushes the one that the connection has, or a new one. Within a Round: it may run finalizers.
LuaWebsocket& push_websocket(lua_State* L, CallbackTable& table, int callbacks, Connection& connection);

}  // namespace websockets::lua
