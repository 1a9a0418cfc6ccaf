// SPDX-License-Identifier: MIT
#include "lua/wrap_waits.h"

#include <new>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "lua/default_context.h"
#include "lua/inbox.h"
#include "lua/lua_waits.h"
#include "lua/shared_state.h"
#include "lua/wrap_context.h"
#include "lua/wrap_websocket.h"
#include "websocket/session.h"

extern "C" int luaopen_websockets_waits(lua_State* L);

namespace websockets::lua {
namespace {

// --- Coroutines ---

// Suspends the running coroutine. Returns what it is resumed with.
int park(lua_State* L) { return lua_yield(L, 0); }

// Whether a coroutine is suspended by park(), or awaits a message.
int is_parked(lua_State* L) {
  lua_State* const coroutine = lua_tothread(L, 1);
  const bool is =
      coroutine != nullptr && coroutine != L && (is_suspended_by(coroutine, park) || awaits_message(coroutine));
  lua_pushboolean(L, is ? 1 : 0);
  return 1;
}

// Returns the running coroutine, or false outside of coroutines. Raises in a callback, which cannot wait: the coroutine
// in which its context is served would. The argument says what is waited for.
int place(lua_State* L) {
  const LuaContext* const running = shared_state(L).running;
  if (running != nullptr && const_cast<LuaContext*>(running)->calls().state() == L) {
    return luaL_error(L,
                      "websocket %s inside a callback, which cannot wait: context:spawn starts a coroutine, which can",
                      luaL_checkstring(L, 1));
  }
  if (lua_pushthread(L) != 0) lua_pushboolean(L, 0);
  return 1;
}

// --- Contexts ---

int now(lua_State* L) {
  lua_pushnumber(L, static_cast<lua_Number>(monotonic_us()) / 1e6);
  return 1;
}

// The one of the callback or coroutine that runs, else the default one.
int current_context(lua_State* L) {
  push_current_context(L);
  return 1;
}

int in_round(lua_State* L) {
  int callbacks;
  lua_pushboolean(L, check_context(L, callbacks).in_round() ? 1 : 0);
  return 1;
}

int is_idle(lua_State* L) {
  int callbacks;
  lua_pushboolean(L, check_context(L, callbacks).is_idle() ? 1 : 0);
  return 1;
}

// The table of kWaits of a context.
int waits(lua_State* L) {
  lua_settop(L, 1);
  int callbacks;
  check_served_here(L, callbacks);
  lua_rawgeti(L, callbacks, kWaits);
  if (lua_istable(L, -1)) return 1;
  lua_newtable(L);
  for (const char* name : {"threads", "watched", "others", "unread", "full", "detached"}) {
    lua_newtable(L);
    lua_setfield(L, -2, name);
  }
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "context");
  lua_pushvalue(L, -1);
  lua_rawseti(L, callbacks, kWaits);
  return 1;
}

// A thread of the context goes on at the end of the round.
int make_ready(lua_State* L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  const LuaContext* const found = context_at(L, 1);
  if (found == nullptr) return 0;
  LuaContext& context = *const_cast<LuaContext*>(found);
  luaL_checkstack(L, 12, "websocket");
  get_user_table(L, 1);
  lua_pushvalue(L, 2);
  context.waits().make_ready(L, 3);
  if (context.is_open() && !context.in_round()) enter(L, context, 3, [] {});
  return 0;
}

// Tells on_error, or stderr. Arguments: a context, a websocket or nil, the message.
int report(lua_State* L) {
  luaL_checkstring(L, 3);
  lua_settop(L, 3);
  LuaContext* const context = context_at(L, 1);
  if (context == nullptr) return 0;
  const LuaWebsocket* const ws = find_object<LuaWebsocket>(L, 2);
  const int self = ws == nullptr || is_closed(*ws) ? kNoSlot : ws->self;
  luaL_checkstack(L, 12, "websocket");
  get_user_table(L, 1);
  enter(L, *context, 4, [&] { context->calls().report_failure(3, self); });
  return 0;
}

// --- Messages ---

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

// What was left unread, then how it ended.
int take_of_closed(lua_State* L, LuaWebsocket& ws) {
  if (ws.has_inbox && push_ending(L)) {
    lua_rawgeti(L, -1, kInbox);
    Inbox& inbox = inbox_at(L, -1);
    inbox.take(L, lua_gettop(L), L);
    if (inbox.is_empty()) {
      ws.has_inbox = false;
      lua_pushnil(L);
      lua_rawseti(L, 2, kInbox);
    }
    return 2;
  }
  lua_settop(L, 1);
  lua_pushnil(L);
  lua_pushliteral(L, "closed");
  return 2 + push_close_status(L, ws);
}

void check_receives(lua_State* L, const LuaWebsocket& ws) {
  if ((ws.on_receive != kNoSlot && !ws.has_inbox) || ws.on_receive_chunk != kNoSlot) {
    raise(L, "websocket receive: the messages of this websocket go to a function, on_receive");
  }
  if (http_of(ws) != nullptr) raise(L, "websocket receive is for websockets, this is a request");
}

// The first message that waits: its data, its type. Else nil, nil, and the queue of the inbox; of a websocket that is
// closed nil, "closed", code, reason, failure.
int take(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
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
  inbox.take(L, lua_gettop(L), L);
  if (ws.is_full && resumes_reading(inbox)) enter(L, context, callbacks, [&] { apply_reading(ws); });
  return 2;
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
  check_queue(L).is_noted = lua_toboolean(L, 2) != 0;
  lua_rawseti(L, 1, Inbox::kReceiver);
  return 0;
}

// The thread whose coroutine has received from a queue last, and may wait there without being noted.
int note_last_receiver(lua_State* L) {
  lua_settop(L, 2);
  Inbox& inbox = check_queue(L);
  lua_rawgeti(L, 2, LuaWaits::kCoroutine);
  inbox.coroutine = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_rawseti(L, 1, Inbox::kLastReceiver);
  return 0;
}

// Whether a coroutine awaits a message at a queue; default: any.
int is_awaited(lua_State* L) {
  lua_settop(L, 2);
  const Inbox& inbox = check_queue(L);
  const bool is_it = lua_isnil(L, 2) || lua_tothread(L, 2) == inbox.coroutine;
  lua_pushboolean(L, inbox.is_awaited && is_it && awaits_message(inbox.coroutine) ? 1 : 0);
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

// Nobody may wait at a queue any more without being noted; nor does anybody.
int forget_receiver(lua_State* L) {
  Inbox& inbox = check_queue(L);
  inbox.coroutine = nullptr;
  inbox.is_awaited = false;
  lua_pushboolean(L, 0);
  lua_rawseti(L, 1, Inbox::kLastReceiver);
  return 0;
}

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

// Ends a websocket from which nobody receives.
int give_up(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  if (is_closed(ws)) return 0;
  with_entry(L, ws, [&] {
    if (Session* const session = session_of(ws)) session->fail(CloseCode::kInternalError, "nobody receives");
  });
  return 0;
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
    inbox.take(L, 2, L);
    if (is_chunk) {
      lua_pushboolean(L, 1);
      lua_insert(L, -2);
    }
    lua_call(L, is_chunk ? 4 : 3, 0);
    lua_settop(L, 2);
  }
  if (is_closed(ws)) return 0;
  ws.is_flushing = false;
  with_entry(L, ws, [&] { apply_reading(ws); });
  return 0;
}

// The handler of its messages has failed.
int fail(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  if (is_closed(ws)) return 0;
  with_entry(L, ws, [&] {
    if (Session* const session = session_of(ws)) session->fail(CloseCode::kInternalError, "the handler failed");
  });
  return 0;
}

// --- Events ---

// Whether threads wait for something that happens to a websocket, and are told of it.
int watch(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  const bool watches = lua_toboolean(L, 2) != 0;
  ws.has_waiters = watches;
  Session* const session = is_closed(ws) ? nullptr : session_of(ws);
  if (session != nullptr) session->set_notifies_progress(watches);
  return 0;
}

// Whether what was sent before a websocket was closed is leaving still, or the peer's answer has not come.
int lingers(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 1);
  int callbacks = push_callbacks(L);
  LuaContext* const context = ws.closed_serial == 0 ? nullptr : find_context(L, callbacks);
  lua_pushboolean(L, context != nullptr && context->waits().lingers(ws) ? 1 : 0);
  return 1;
}

int await_end(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 1);
  int callbacks = push_callbacks(L);
  LuaContext* const context = find_context(L, callbacks);
  if (context != nullptr) guarded(L, [&] { context->waits().await_end(ws); });
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

constexpr luaL_Reg kCore[] = {
    {"await_end", await_end},
    {"cancel_receiver", cancel_receiver},
    {"current_context", current_context},
    {"deliver_unread", deliver_unread},
    {"fail", fail},
    {"forget_receiver", forget_receiver},
    {"full_for", full_for},
    {"give_up", give_up},
    {"idle_timeout", idle_timeout},
    {"in_round", in_round},
    {"is_awaited", is_awaited},
    {"is_idle", is_idle},
    {"is_parked", is_parked},
    {"lingers", lingers},
    {"make_next_message", make_next_message},
    {"make_ready", make_ready},
    {"make_receive", make_receive},
    {"note_last_receiver", note_last_receiver},
    {"note_receiver", note_receiver},
    {"now", now},
    {"open_inbox", open_inbox},
    {"park", park},
    {"place", place},
    {"report", report},
    {"take", take},
    {"waits", waits},
    {"watch", watch},
    {nullptr, nullptr},
};

// Pushes the methods of a type.
void push_methods(lua_State* L, const char* type) {
  luaL_getmetatable(L, type);
  lua_getfield(L, -1, "__index");
  lua_remove(L, -2);
}

}  // namespace

namespace {

// Whether there is no argument but the websocket, now.
bool takes_websocket_only(lua_State* L) {
  if (lua_gettop(L) == 1) return true;
  if (!lua_isnoneornil(L, 2)) return false;
  lua_settop(L, 1);
  return true;
}

// Whether the first message was pushed, as data and type. Else `is_awaited` tells whether the coroutine is to be
// suspended until there is one.
bool take_first(lua_State* L, bool& is_awaited) {
  is_awaited = false;
  LuaWebsocket& ws = check_websocket(L);
  if (!ws.has_inbox || is_closed(ws)) return false;
  get_user_table(L, 1);
  constexpr int kCallbackTable = 2;
  lua_rawgeti(L, kCallbackTable, ws.on_receive);
  Inbox& inbox = inbox_at(L, 3);
  if (inbox.is_empty()) {
    is_awaited = context_of(ws).waits().await(L, inbox);
    lua_settop(L, 1);
    return false;
  }
  inbox.take(L, 3, L);
  if (ws.is_full && resumes_reading(inbox)) {
    luaL_checkstack(L, 12, "websocket");
    enter(L, context_of(ws), kCallbackTable, [&] { apply_reading(ws); });
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

// After the websocket there is what the coroutine was resumed with.
int go_on_receiving(lua_State* L, int, lua_KContext) {
  const void* const token = lua_touserdata(L, 4);
  if (token != &kIsDone) {
    lua_settop(L, 1);
    return receive_slowly(L, token);
  }
  lua_settop(L, 3);
  return 2;
}

}  // namespace

int receive_now(lua_State* L) {
  if (!takes_websocket_only(L)) return receive_slowly(L, &kAgain);
  bool is_awaited;
  if (take_first(L, is_awaited)) return 2;
  return is_awaited ? lua_yieldk(L, 0, 0, go_on_receiving) : receive_slowly(L, &kAgain);
}

#else

// waits.lua calls it: there C cannot call what may yield, nor see what a coroutine was resumed with.
int receive_now(lua_State* L) {
  bool is_awaited = false;
  if (takes_websocket_only(L) && take_first(L, is_awaited)) {
    lua_pushlightuserdata(L, const_cast<char*>(&kIsDone));
    return 3;
  }
  if (is_awaited) return lua_yield(L, 0);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushlightuserdata(L, const_cast<char*>(&kAgain));
  return 3;
}

#endif

// The iterator of messages(), which has the message before as its second argument.
int next_message(lua_State* L) {
  lua_settop(L, 1);
  return receive_now(L);
}

bool awaits_message(lua_State* coroutine) {
  return is_suspended_by(coroutine, receive_now) || is_suspended_by(coroutine, next_message);
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

void register_waits(lua_State* L) {
  register_inbox(L);
  const int module = lua_gettop(L);
  lua_pushcfunction(L, luaopen_websockets_waits);
  lua_newtable(L);
  set_functions(L, kCore);
  for (const auto& [name, token] : {std::pair{"done", &kIsDone}, {"again", &kAgain}}) {
    lua_pushlightuserdata(L, const_cast<char*>(token));
    lua_setfield(L, -2, name);
  }
  push_methods(L, "websockets.websocket");
  lua_pushcfunction(L, close_status);
  lua_setfield(L, -2, "close_status");
  push_methods(L, "websockets.context");
  lua_pushvalue(L, module);
  push_shared_table(L);
  lua_newtable(L);  // the functions that LuaWaits calls
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, kWaitFunctions);
  lua_rawgeti(L, -2, kEndings);
  lua_remove(L, -3);
  lua_call(L, 6, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_insert(L, -2);
  lua_setfield(L, -2, "websockets.waits");
  lua_settop(L, module);
}

}  // namespace websockets::lua
