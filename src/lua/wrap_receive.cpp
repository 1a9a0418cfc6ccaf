// SPDX-License-Identifier: MIT
#include "lua/wrap_receive.h"

#include <cmath>

#include "base/clock.h"
#include "lua/caller_line.h"
#include "lua/inbox.h"
#include "lua/lua_waits.h"
#include "lua/resumption.h"
#include "lua/shared_state.h"
#include "lua/wrap_context.h"
#include "lua/wrap_websocket.h"
#include "websocket/session.h"

namespace websockets::lua {
namespace {

constexpr double kMaxSeconds = 1e9;

// --- Taking messages ---

// Pushes what is known of the end of a websocket, or nil. Returns whether it is a table.
bool push_ending(lua_State* L) {
  push_shared_table(L);
  lua_rawgeti(L, -1, kEndings);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  lua_replace(L, -3);
  lua_pop(L, 1);
  return lua_istable(L, -1);
}

constexpr int kReason = 1;
constexpr int kFailure = 2;
constexpr int kInbox = 3;

// Code, reason, failure of a websocket that is closed.
int push_close_status(lua_State* L, const LuaWebsocket& ws) {
  if (ws.close_code == 0) return 0;
  lua_pushinteger(L, ws.close_code);
  if (!push_ending(L)) {
    lua_pushliteral(L, "");
    lua_replace(L, -2);
    return 2;
  }
  lua_rawgeti(L, -1, kReason);
  lua_rawgeti(L, -2, kFailure);
  lua_remove(L, -3);
  return 3;
}

int close_status(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 1);
  return is_closed(ws) ? push_close_status(L, ws) : 0;
}

bool has_open_context(lua_State* L) {
  int callbacks = push_callbacks(L);
  const bool has = find_context(L, callbacks) != nullptr;
  lua_settop(L, 1);
  return has;
}

// What was left unread, then how it ended.
int take_of_closed(lua_State* L, LuaWebsocket& ws) {
  if (ws.has_inbox && !has_open_context(L)) drop_unread(L, ws);
  while (ws.has_inbox && push_ending(L)) {
    lua_rawgeti(L, -1, kInbox);
    Inbox& inbox = inbox_at(L, -1);
    const bool was_waiting = inbox.was_waiting();
    inbox.take(L, lua_gettop(L), L);
    if (inbox.is_empty()) {
      ws.has_inbox = false;
      lua_pushnil(L);
      lua_rawseti(L, 2, kInbox);
    }
    if (!ws.resumes || accept_message(L, was_waiting)) return 2;
    lua_settop(L, 1);
  }
  lua_settop(L, 1);
  lua_pushnil(L);
  lua_pushliteral(L, "closed");
  return 2 + push_close_status(L, ws);
}

void check_receives(lua_State* L, const LuaWebsocket& ws) {
  if ((ws.on_receive != kNoSlot && !ws.has_inbox) || ws.on_receive_chunk != kNoSlot) {
    raise_at_caller(L, "websocket receive: the messages of this websocket go to a function, on_receive");
  }
  if (http_of(ws) != nullptr) raise_at_caller(L, "websocket receive is for websockets, this is a request");
}

// The first message that waits: its data, its type. Else nil, nil, and the queue of the inbox; of a websocket that is
// closed nil, "closed", code, reason, failure.
int take(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  for (;;) {
    lua_settop(L, 1);
    if (is_closed(ws)) return take_of_closed(L, ws);
    check_receives(L, ws);
    LuaContext& context = context_of(ws);
    const int callbacks = push_callbacks(L);
    Inbox& inbox = push_inbox(L, context, callbacks, ws);
    if (inbox.is_empty()) {
      lua_pushnil(L);
      lua_pushnil(L);
      get_user_table(L, -3);
      return 3;
    }
    const bool was_waiting = inbox.was_waiting();
    inbox.take(L, lua_gettop(L), L);
    if (ws.is_full && resumes_reading(inbox)) enter(L, context, callbacks, [&] { apply_reading(ws); });
    if (!ws.resumes || accept_message(L, was_waiting)) return 2;
  }
}

// --- Who receives ---

// The queue of the inbox that a websocket has now, or has left unread; nil: there is none.
int queue(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 1);
  if (!ws.has_inbox) return 0;
  if (!is_closed(ws)) {
    lua_rawgeti(L, push_callbacks(L), ws.on_receive);
  } else {
    if (!push_ending(L)) return 0;
    lua_rawgeti(L, -1, kInbox);
  }
  get_user_table(L, -1);
  return 1;
}

// The inbox of a queue.
Inbox& check_queue(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_rawgeti(L, 1, Inbox::kSelf);
  Inbox* const inbox = find_object<Inbox>(L, -1);
  if (inbox == nullptr) raise(L, "not the queue of an inbox");
  lua_pop(L, 1);
  return *inbox;
}

// Notes the thread that waits at a queue, or false.
int note_receiver(lua_State* L) {
  lua_settop(L, 2);
  Inbox& inbox = check_queue(L);
  inbox.is_noted = inbox.has_thread = lua_toboolean(L, 2) != 0;
  lua_rawseti(L, 1, Inbox::kReceiver);
  return 0;
}

// Nobody awaits a message at an inbox any more.
void forget_receiver(Inbox& inbox) {
  if (inbox.websocket != nullptr) context_of(*inbox.websocket).waits().stop_awaiting(inbox);
  inbox.is_awaited = false;
  inbox.is_cancelled = false;
  inbox.coroutine = nullptr;
}

// The thread whose coroutine has received from a queue last, and may wait there without being noted.
int note_last_receiver(lua_State* L) {
  lua_settop(L, 2);
  Inbox& inbox = check_queue(L);
  lua_rawgeti(L, 2, LuaWaits::kCoroutine);
  forget_receiver(inbox);  // its coroutine was closed while it waited, say
  inbox.coroutine = lua_tothread(L, -1);
  lua_rawseti(L, 1, Inbox::kCoroutine);
  lua_rawseti(L, 1, Inbox::kLastReceiver);
  return 0;
}

// Whether a coroutine awaits a message at a queue; default: any.
int is_awaited(lua_State* L) {
  lua_settop(L, 2);
  const Inbox& inbox = check_queue(L);
  const bool is_it = lua_isnil(L, 2) || lua_tothread(L, 2) == inbox.coroutine;
  lua_pushboolean(L, inbox.is_awaited && is_it && awaits_message(shared_state(L), inbox.coroutine) ? 1 : 0);
  return 1;
}

// Whether a coroutine awaits a message at a queue, and is to have the next one.
int has_receiver(lua_State* L) {
  lua_settop(L, 1);
  const Inbox& inbox = check_queue(L);
  const bool is_over = inbox.is_cancelled || inbox.is_late;
  lua_pushboolean(L, inbox.is_awaited && !is_over && awaits_message(shared_state(L), inbox.coroutine) ? 1 : 0);
  return 1;
}

// The coroutine that awaits a message at a queue, in this context, goes on without.
int cancel_receiver(lua_State* L) {
  lua_settop(L, 2);
  Inbox& inbox = check_queue(L);
  LuaContext* const context = context_at(L, 2);
  if (context == nullptr || !inbox.is_awaited) return 0;
  inbox.is_cancelled = true;
  context->waits().make_ready(inbox);
  luaL_checkstack(L, 12, "websocket");
  get_user_table(L, 2);
  if (context->is_open() && !context->in_round()) enter(L, *context, 3, [] {});
  return 0;
}

// A coroutine may not wait at a queue any more without being noted; nor does it.
int forget_receiver(lua_State* L) {
  lua_settop(L, 2);
  Inbox& inbox = check_queue(L);
  if (inbox.coroutine == nullptr || inbox.coroutine != lua_tothread(L, 2)) return 0;
  forget_receiver(inbox);
  for (const int place : {Inbox::kLastReceiver, Inbox::kCoroutine}) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, 1, place);
  }
  return 0;
}

// --- Inboxes ---

// An inbox from now on.
int open_inbox(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  if (is_closed(ws)) return 0;
  push_inbox(L, context_of(ws), push_callbacks(L), ws);
  return 0;
}

// For how many seconds nothing was taken from an inbox that is full; nil: it is not full.
int full_for(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  if (is_closed(ws) || !ws.is_full || !ws.has_inbox) return 0;
  const int callbacks = push_callbacks(L);
  const Inbox& inbox = push_inbox(L, context_of(ws), callbacks, ws);
  lua_pushnumber(L, static_cast<lua_Number>(monotonic_ms() - inbox.taken_ms) / 1000);
  return 1;
}

// In seconds; nil: there is none.
int idle_timeout(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const Session* const session = is_closed(ws) ? nullptr : session_of(ws);
  const std::uint64_t timeout_ms = session == nullptr ? 0 : session->rules().keepalive.idle_timeout_ms;
  if (timeout_ms == 0) return 0;
  lua_pushnumber(L, static_cast<lua_Number>(timeout_ms) / 1000);
  return 1;
}

// The messages of an inbox, the second argument, go to the function that the websocket has now.
int deliver_unread(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 2);
  Inbox& inbox = check_object<Inbox>(L, 2);
  while (!is_closed(ws) && !inbox.is_empty()) {
    const bool is_chunk = ws.on_receive_chunk != kNoSlot;
    const int callbacks = push_callbacks(L);
    lua_rawgeti(L, callbacks, is_chunk ? ws.on_receive_chunk : ws.on_receive);
    lua_pushvalue(L, 1);
    const bool was_waiting = inbox.was_waiting();
    inbox.take(L, 2, L);
    if (is_chunk) {
      lua_pushboolean(L, 1);
      lua_insert(L, -2);
    } else if (ws.resumes) {
      lua_pushboolean(L, was_waiting ? 1 : 0);
    }
    lua_call(L, is_chunk || ws.resumes ? 4 : 3, 0);
    lua_settop(L, 2);
  }
  if (is_closed(ws)) return 0;
  ws.is_flushing = false;
  with_entry(L, ws, [&] { apply_reading(ws); });
  return 0;
}

// Closes a websocket whose messages do not get to where they should, for a reason.
int fail(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const char* const reason = luaL_checkstring(L, 2);
  if (is_closed(ws)) return 0;
  with_entry(L, ws, [&] {
    if (Session* const session = session_of(ws)) session->fail(CloseCode::kInternalError, reason);
  });
  return 0;
}

// --- Receiving in C ---

// The function of waits.lua that calls receive_now(), where that cannot suspend.
int note_receive(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  shared_state(L).receive = lua_topointer(L, 1);
  return 0;
}

// A function that receives in C, and for what is not simple calls the argument, where C can.
int make_receive(lua_State* L) {
  lua_settop(L, 1);
  lua_pushcclosure(L, receive_now, 1);
  return 1;
}

// The iterator of messages(), likewise.
int make_next_message(lua_State* L) {
  lua_settop(L, 1);
  lua_pushcclosure(L, next_message, 1);
  return 1;
}

// The second argument, a number of seconds or none. False: it is no such, or 0.
bool read_timeout(lua_State* L, std::uint64_t& timeout_ms) {
  timeout_ms = 0;
  if (lua_gettop(L) == 1) return true;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return true;
  const lua_Number seconds = lua_type(L, 2) == LUA_TNUMBER ? lua_tonumber(L, 2) : 0;
  timeout_ms = seconds > 0 && seconds <= kMaxSeconds ? static_cast<std::uint64_t>(std::ceil(seconds * 1000)) : 0;
  return timeout_ms > 0;
}

// Whether the first message was pushed, as data and type, behind those arguments. Else `is_awaited` tells whether
// the coroutine is to be suspended until there is one. What somebody else waits for is not taken, nor refused here, and
// what is to be accepted, as its websocket resumes, is left to take().
bool take_first(lua_State* L, bool& is_awaited) {
  is_awaited = false;
  LuaWebsocket& ws = check_websocket(L);
  std::uint64_t timeout_ms;
  if (!read_timeout(L, timeout_ms) || !ws.has_inbox || ws.resumes || is_closed(ws)) return false;
  get_user_table(L, 1);
  const int callbacks = lua_gettop(L);
  lua_rawgeti(L, callbacks, ws.on_receive);
  Inbox& inbox = inbox_at(L, -1);
  if ((inbox.is_awaited || inbox.has_thread) && inbox.coroutine != L) {
    lua_settop(L, callbacks - 1);
    return false;
  }
  if (inbox.is_empty()) {
    is_awaited = context_of(ws).waits().await(L, inbox, timeout_ms);
    lua_settop(L, callbacks - 1);
    return false;
  }
  inbox.take(L, callbacks + 1, L);
  if (ws.is_full && resumes_reading(inbox)) {
    luaL_checkstack(L, 12, "websocket");
    enter(L, context_of(ws), callbacks, [&] { apply_reading(ws); });
  }
  return true;
}

}  // namespace

#if LUA_VERSION_NUM >= 503

namespace {

// Whatever is not simple is Lua: upvalue 1, (websocket, seconds, token).
int end_receive(lua_State* L, int, lua_KContext) { return lua_gettop(L); }

int receive_slowly(lua_State* L, const void* token) {
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushlightuserdata(L, const_cast<void*>(token));
  lua_callk(L, 3, LUA_MULTRET, 0, end_receive);
  return end_receive(L, LUA_OK, 0);
}

// Whether a coroutine has yielded, and that is its top function.
bool is_suspended_by(lua_State* coroutine, lua_CFunction function) {
  lua_Debug frame;
  if (lua_status(coroutine) != LUA_YIELD || lua_getstack(coroutine, 0, &frame) == 0) return false;
  if (lua_checkstack(coroutine, 2) == 0) return false;
  lua_getinfo(coroutine, "f", &frame);
  const bool is = lua_tocfunction(coroutine, -1) == function;
  lua_pop(coroutine, 1);
  return is;
}

// After so many arguments there is what the coroutine was resumed with.
int go_on_receiving(lua_State* L, int, lua_KContext arguments) {
  const void* const token = lua_touserdata(L, static_cast<int>(arguments) + 3);
  if (token != &kIsDone) {
    lua_settop(L, static_cast<int>(arguments));
    return receive_slowly(L, token);
  }
  lua_settop(L, static_cast<int>(arguments) + 2);
  return 2;
}

}  // namespace

int receive_now(lua_State* L) {
  bool is_awaited;
  if (take_first(L, is_awaited)) return 2;
  return is_awaited ? lua_yieldk(L, 0, lua_gettop(L), go_on_receiving) : receive_slowly(L, &kAgain);
}

bool awaits_message(const SharedState&, lua_State* coroutine) {
  return is_suspended_by(coroutine, receive_now) || is_suspended_by(coroutine, next_message);
}

#else

// waits.lua calls it, and suspends: there C cannot call what may yield, nor see what a coroutine was resumed with.
int receive_now(lua_State* L) {
  bool is_awaited;
  if (take_first(L, is_awaited)) {
    lua_pushlightuserdata(L, const_cast<char*>(&kIsDone));
    return 3;
  }
  if (is_awaited) return 0;
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushlightuserdata(L, const_cast<char*>(&kAgain));
  return 3;
}

bool awaits_message(const SharedState& shared, lua_State* coroutine) {
  return is_suspended_in(coroutine, shared.receive);
}

#endif

// The second argument is the message before.
int next_message(lua_State* L) {
  lua_settop(L, 1);
  return receive_now(L);
}

const char kIsDone = 0;
const char kAgain = 0;

void drop_unread(lua_State* L, LuaWebsocket& ws) {
  if (!ws.has_inbox) return;
  ws.has_inbox = false;
  if (push_ending(L)) {
    lua_pushnil(L);
    lua_rawseti(L, -2, kInbox);
  }
  lua_settop(L, 1);
}

void give_up_inbox(lua_State* L, LuaWebsocket& ws) {
  if (!ws.has_inbox) return;
  LuaContext& context = context_of(ws);
  const int callbacks = push_callbacks(L);
  lua_rawgeti(L, callbacks, ws.on_receive);
  const int inbox = lua_gettop(L);
  push_shared_table(L);
  lua_rawgeti(L, -1, kWaitFunctions);
  lua_rawgeti(L, -1, LuaWaits::kGiveUpInbox);
  lua_rawgeti(L, callbacks, kWaits);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, inbox);
  lua_pushboolean(L, inbox_at(L, inbox).is_empty() ? 0 : 1);
  const bool has_messages = lua_toboolean(L, -1) != 0;
  context.callback_table().free_slot(L, callbacks, ws.on_receive);
  ws.has_inbox = false;
  ws.is_full = false;
  ws.is_flushing = has_messages;
  lua_call(L, 4, 0);
  lua_settop(L, inbox);
  context.waits().detach(L, callbacks);
  if (!is_closed(ws)) with_entry(L, ws, [&] { apply_reading(ws); });
  lua_settop(L, 2);
}

const luaL_Reg kReceiveCore[] = {
    {"cancel_receiver", cancel_receiver},
    {"close_status", close_status},
    {"deliver_unread", deliver_unread},
    {"fail", fail},
    {"forget_receiver", forget_receiver},
    {"full_for", full_for},
    {"has_receiver", has_receiver},
    {"idle_timeout", idle_timeout},
    {"is_awaited", is_awaited},
    {"make_next_message", make_next_message},
    {"make_receive", make_receive},
    {"note_last_receiver", note_last_receiver},
    {"note_receive", note_receive},
    {"note_receiver", note_receiver},
    {"open_inbox", open_inbox},
    {"queue", queue},
    {"take", take},
    {nullptr, nullptr},
};

}  // namespace websockets::lua
