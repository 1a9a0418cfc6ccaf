// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/intrusive.h"
#include "lua/compat.h"
#include "lua/inbox.h"
#include "websocket/message_batch.h"

namespace websockets {
class Session;
}

namespace websockets::lua {

class LuaContext;
struct LuaWebsocket;

// What waiting needs of the engine: inboxes, and the threads of Lua that go on at the end of a round. The rest of it is
// Lua: see lua/websockets/waits.lua. `callbacks` is the stack index of the context's callbacks table, whose kWaits is a
// table: its places 1, 2 and so on are those threads.
class LuaWaits {
 public:
  // The places of a thread, which is a table: see waits.lua.
  static constexpr int kCoroutine = 1;
  static constexpr int kWhy = 2;
  // The places of the functions that are called here, in the table of kWaitFunctions.
  static constexpr int kGoOn = 1;           // (waits, thread) -> interruption or nil: the thread goes on
  static constexpr int kNotify = 2;         // (waits, websocket): something has happened to it
  static constexpr int kNoteFull = 3;       // (waits, websocket): its inbox has become full
  static constexpr int kNoteEnd = 4;        // (waits or false, websocket, reason, failure, inbox or nil)
  static constexpr int kNoteDestroyed = 5;  // (waits)
  static constexpr int kGiveUpInbox = 6;    // (waits or false, websocket, inbox, whether it has messages)
  static constexpr int kFlush = 7;          // (waits, websocket): delivers those messages
  static constexpr int kNoteLingered = 8;   // (waits): a connection is gone that lingered
  static constexpr int kFail = 9;           // (waits, coroutine, error) -> interruption or nil
  static constexpr int kGiveUp = 10;        // (waits): its threads have ended, and nobody goes on

  explicit LuaWaits(LuaContext& context) : context_(context) {}

  // --- Threads ---

  bool has_ready() const { return first_ <= last_ || !ready_.empty(); }
  bool has_work() const { return has_ready() || has_lingered(); }
  // Within an Entry.
  bool do_work();
  // The thread on top of the stack, which is taken, goes on at the end of the round. May raise.
  void make_ready(lua_State* L, int callbacks);
  // The context ends: so do all waits. Within an Entry.
  void end();
  // No thread goes on any more: the context is collected, or another process has it.
  void abandon();
  // The same for those that are there; there is no websocket. Within an Entry.
  void give_up();
  // do_work() comes once that connection, of a websocket that was closed, is gone.
  void await_end(const LuaWebsocket& ws);
  // The connection of a websocket that was closed is there still: it sends what was queued, and awaits the peer's
  // answer.
  bool lingers(const LuaWebsocket& ws) const;

  // --- Receiving ---

  // The running coroutine is about to wait for a message by receive_now(), for so long at most; 0: without end. False,
  // and nothing else, if it is not the one that has received last, or may not.
  bool await(lua_State* L, Inbox& inbox, std::uint64_t timeout_ms);
  void stop_awaiting(Inbox& inbox);
  // A message has come for the coroutine that awaits it, or it is to go on without one.
  void make_ready(Inbox& inbox);
  // The inbox on top of the stack has no websocket any more: whoever waits for a message goes on. May raise.
  void detach(lua_State* L, int callbacks);

  // --- Events of websockets ---

  // Within an Entry. False: it has failed, which was reported.
  bool receive(LuaWebsocket& ws, Session& session, MessageBatch& messages);
  // What follows is for protected functions of LuaCalls.

  // Something has happened that a thread may wait for, if it has_waiters.
  void notify(lua_State* L, const LuaWebsocket& ws);
  // The messages that its function has to get first, if it is_flushing.
  void flush(lua_State* L, const LuaWebsocket& ws);
  // It ends. The failure is on top of the stack, and is taken. `keeps_messages`: those that were not received yet can
  // be.
  void note_end(lua_State* L, LuaWebsocket& ws, std::string_view reason, bool keeps_messages);

 private:
  struct Lingering {
    int fd;
    std::uint32_t serial;
    bool is_client;

    bool operator==(const Lingering&) const = default;
  };

  void go_on(lua_State* L, int waits);
  void go_on_receiving(lua_State* L, int waits, int interruption);
  void resume_receiver(lua_State* L, Inbox& inbox, int interruption);
  void update_reading(lua_State* L, LuaWebsocket& ws);
  void note_full(lua_State* L, LuaWebsocket& ws);
  void wake_noted(lua_State* L, int callbacks, int queue, Inbox& inbox);
  bool has_lingered() const;
  bool lingers(const Lingering& one) const;

  LuaContext& context_;
  IntrusiveQueue<Inbox, &Inbox::next_ready> ready_;  // their coroutines go on
  int first_ = 1;                                    // of the threads that go on
  int last_ = 0;
  std::vector<Lingering> lingering_;  // those that somebody waits for
  bool is_abandoned_ = false;
};

// Whether a coroutine has yielded while the function in Lua of that lua_topointer() is in progress.
bool is_suspended_in(lua_State* coroutine, const void* function);

// Pushes the inbox of a websocket that is not closed, made if there was none. May run finalizers, which may do
// anything.
Inbox& push_inbox(lua_State* L, LuaContext& context, int callbacks, LuaWebsocket& ws);
// Something was taken from the inbox of a websocket that is_full. Whether reading goes on now: by apply_reading().
bool resumes_reading(Inbox& inbox);
// Reads from a websocket that is not closed, or does not, as its flags say. Within an Entry.
void apply_reading(LuaWebsocket& ws);

}  // namespace websockets::lua
