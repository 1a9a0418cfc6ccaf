// SPDX-License-Identifier: MIT
#include "lua/lua_waits.h"

#include <algorithm>

#include "base/clock.h"
#include "loop/loop.h"
#include "lua/inbox.h"
#include "lua/lua_context.h"
#include "lua/push.h"
#include "lua/shared_state.h"
#include "lua/wrap_websocket.h"
#include "server/context.h"
#include "websocket/session.h"

namespace websockets::lua {
namespace {

constexpr int kCallbacks = LuaCalls::kCallbacks;

// Pushes one of the functions of waits.lua, and the table of the context for them, or false.
void push_function(lua_State* L, int function) {
  push_shared_table(L);
  lua_rawgeti(L, -1, kWaitFunctions);
  lua_rawgeti(L, -1, function);
  lua_replace(L, -3);
  lua_pop(L, 1);
  lua_rawgeti(L, kCallbacks, kWaits);
}

int resume(lua_State* L, lua_State* coroutine, int arguments) {
#if LUA_VERSION_NUM >= 504
  int results = 0;
  const int status = lua_resume(coroutine, L, arguments, &results);
  if (status == LUA_YIELD) lua_pop(coroutine, results);
#else
#if LUA_VERSION_NUM >= 502
  const int status = lua_resume(coroutine, L, arguments);
#else
  static_cast<void>(L);
  const int status = lua_resume(coroutine, arguments);
#endif
  if (status == LUA_YIELD) lua_settop(coroutine, 0);
#endif
  return status;
}

}  // namespace

const char kIsDone = 0;
const char kAgain = 0;

// Something was taken from an inbox that was full. Whether reading goes on now.
bool resumes_reading(Inbox& inbox) {
  inbox.taken_ms = monotonic_ms();
  if (!inbox.has_room()) return false;
  inbox.websocket->is_full = false;
  return true;
}

bool is_suspended_by(lua_State* coroutine, lua_CFunction function) {
  lua_Debug frame;
  if (lua_status(coroutine) != LUA_YIELD || lua_getstack(coroutine, 0, &frame) == 0) return false;
  if (lua_checkstack(coroutine, 2) == 0) return false;
  lua_getinfo(coroutine, "f", &frame);
  const bool is = lua_tocfunction(coroutine, -1) == function;
  lua_pop(coroutine, 1);
  return is;
}

// --- Threads ---

bool LuaWaits::do_work() {
  if (!has_work()) return false;
  const bool has_lingered = this->has_lingered();
  if (has_lingered) {
    std::erase_if(lingering_, [this](const Lingering& one) { return !lingers(one); });
    context_.calls().run(nullptr, [](lua_State* L) {
      push_function(L, kNoteLingered);
      lua_call(L, 1, 0);
    });
  }
  if (has_ready()) {
    context_.calls().run(nullptr, [this](lua_State* L) {
      lua_rawgeti(L, kCallbacks, kWaits);
      go_on(L, lua_gettop(L));
    });
  }
  if (!has_ready()) {
    first_ = 1;
    last_ = 0;
  }
  return true;
}

// Those that are to go on now; who comes meanwhile waits for the next round.
void LuaWaits::go_on(lua_State* L, int waits) {
  lua_pushnil(L);  // an interruption
  const int interruption = lua_gettop(L);
  for (const int last = last_; first_ <= last;) {
    lua_settop(L, interruption);
    lua_rawgeti(L, waits, first_);
    lua_pushnil(L);
    lua_rawseti(L, waits, first_++);
    const int thread = lua_gettop(L);
    lua_rawgeti(L, thread, kCoroutine);
    lua_State* const coroutine = lua_tothread(L, -1);
    if (coroutine != nullptr && is_suspended_by(coroutine, receive_now)) {
      resume_receiver(L, thread, coroutine);
    } else {
      push_function(L, kGoOn);
      lua_pushvalue(L, thread);
      lua_call(L, 2, 1);
    }
    if (!lua_isnil(L, -1)) lua_replace(L, interruption);
  }
  lua_settop(L, interruption);
  if (!lua_isnil(L, -1)) lua_error(L);
}

// Pushes nil, or what has interrupted it.
void LuaWaits::resume_receiver(lua_State* L, int thread, lua_State* coroutine) {
  lua_rawgeti(L, thread, kWhy);
  lua_rawgeti(L, thread, kQueue);
  const int queue = lua_gettop(L);
  if (lua_toboolean(L, queue - 1) == 0 || !lua_istable(L, queue)) return lua_pushnil(L);  // it was resumed by another
  for (const int place : {kWhy, kContext, kQueue}) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, thread, place);
  }
  luaL_checkstack(L, 8, "websocket");
  lua_rawgeti(L, queue, Inbox::kSelf);
  Inbox& inbox = *find_object<Inbox>(L, -1);
  const void* token = &kIsDone;
  if (lua_type(L, queue - 1) == LUA_TSTRING) {  // cancelled
    lua_pushboolean(L, 0);
    lua_rawseti(L, queue, Inbox::kReceiver);
    lua_pushnil(L);
    lua_pushvalue(L, queue - 1);
  } else if (inbox.websocket != nullptr && !inbox.is_empty()) {
    inbox.take(L, queue);
    if (inbox.websocket->is_full && resumes_reading(inbox)) guarded(L, [&] { apply_reading(*inbox.websocket); });
  } else {
    token = &kAgain;
    lua_pushnil(L);
    lua_pushnil(L);
  }
  if (lua_checkstack(coroutine, 8) == 0) raise(L, "not enough memory");
  lua_xmove(L, coroutine, 2);
  lua_pushlightuserdata(coroutine, const_cast<void*>(token));
  const int status = resume(L, coroutine, 3);
  if (status == 0 || status == LUA_YIELD) return lua_pushnil(L);
  push_function(L, kFail);
  lua_pop(L, 1);
  lua_pushvalue(L, thread);
  lua_rawgeti(L, thread, kCoroutine);
  lua_xmove(coroutine, L, 1);
  lua_call(L, 3, 1);
}

bool LuaWaits::note_receiver(lua_State* L, int callbacks) {
  const int queue = lua_gettop(L);
  lua_rawgeti(L, queue, Inbox::kLastReceiver);
  const int thread = lua_gettop(L);
  if (!lua_istable(L, thread)) return false;
  lua_rawgeti(L, thread, kCoroutine);
  lua_rawgeti(L, thread, kContext);
  lua_rawgeti(L, thread, kIsCancelled);
  lua_rawgeti(L, queue, Inbox::kReceiver);
  const bool is_usual = lua_tothread(L, thread + 1) == L && lua_toboolean(L, thread + 2) == 0 &&
                        lua_toboolean(L, thread + 3) == 0 && lua_toboolean(L, thread + 4) == 0;
  const LuaContext* const running = context_.shared().running;
  if (!is_usual || (running != nullptr && const_cast<LuaContext*>(running)->calls().state() == L)) return false;
  lua_rawgeti(L, callbacks, Slot::kContext);
  lua_rawseti(L, thread, kContext);
  lua_pushvalue(L, queue);
  lua_rawseti(L, thread, kQueue);
  lua_pushvalue(L, thread);
  lua_rawseti(L, queue, Inbox::kReceiver);
  return true;
}

void LuaWaits::make_ready(lua_State* L, int callbacks) {
  lua_rawgeti(L, callbacks, kWaits);
  lua_insert(L, -2);
  lua_rawseti(L, -2, last_ + 1);
  ++last_;
  lua_pop(L, 1);
}

void LuaWaits::end() {
  lingering_.clear();
  if (is_abandoned_) return;
  context_.calls().run(nullptr, [](lua_State* L) {
    push_function(L, kNoteDestroyed);
    if (lua_istable(L, -1)) lua_call(L, 1, 0);
  });
  while (has_ready()) do_work();
}

void LuaWaits::abandon() {
  lingering_.clear();
  is_abandoned_ = true;
  first_ = 1;
  last_ = 0;
}

void LuaWaits::await_end(const LuaWebsocket& ws) {
  lingering_.push_back({ws.closed_fd, ws.closed_serial, ws.is_client});
}

bool LuaWaits::lingers(const LuaWebsocket& ws) const { return lingers({ws.closed_fd, ws.closed_serial, ws.is_client}); }

bool LuaWaits::has_lingered() const {
  return std::any_of(lingering_.begin(), lingering_.end(), [this](const Lingering& one) { return !lingers(one); });
}

bool LuaWaits::lingers(const Lingering& one) const {
  if (!context_.is_open()) return false;
  if (!one.is_client) return context_.context().has_connection(one.fd, one.serial);
  const Pollable* const pollable = context_.loop()->find(one.fd);
  return pollable != nullptr && id_of(pollable) == one.serial;
}

// --- Websockets ---

void LuaWaits::receive(lua_State* L, LuaWebsocket& ws, Session& session, MessageBatch& messages) {
  Inbox& inbox = push_inbox(L, context_, kCallbacks, ws);
  get_user_table(L, -1);
  const int queue = lua_gettop(L);
  MessageBatch::Message message;
  bool is_full = false;
  while (!is_full && session.takes_messages() && messages.next(message)) {
    inbox.put(L, queue, message);
    is_full = inbox.is_full(L, queue);
  }
  wake_receiver(L, queue);
  if (!is_full || is_closed(ws)) return;
  ws.is_full = true;
  guarded(L, [&] { apply_reading(ws); });
  push_function(L, kNoteFull);
  lua_rawgeti(L, kCallbacks, ws.self);
  lua_call(L, 2, 0);
}

// `queue`: of its inbox.
void LuaWaits::wake_receiver(lua_State* L, int queue) {
  lua_rawgeti(L, queue, Inbox::kReceiver);
  if (lua_istable(L, -1)) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, queue, Inbox::kReceiver);
    lua_rawgeti(L, -1, kWhy);
    const bool waits = lua_toboolean(L, -1) == 0;
    lua_pop(L, 1);
    if (waits) {
      lua_pushboolean(L, 1);
      lua_rawseti(L, -2, kWhy);
      return make_ready(L, kCallbacks);
    }
  }
  lua_pop(L, 1);
}

void LuaWaits::notify(lua_State* L, const LuaWebsocket& ws) {
  push_function(L, kNotify);
  lua_rawgeti(L, kCallbacks, ws.self);
  lua_call(L, 2, 0);
}

void LuaWaits::flush(lua_State* L, const LuaWebsocket& ws) {
  push_function(L, kFlush);
  lua_rawgeti(L, kCallbacks, ws.self);
  lua_call(L, 2, 0);
}

void LuaWaits::note_end(lua_State* L, LuaWebsocket& ws, std::string_view reason, bool keeps_messages) {
  const int failure = lua_gettop(L);
  push_function(L, kNoteEnd);
  lua_rawgeti(L, kCallbacks, ws.self);
  push_text(L, reason);
  lua_pushvalue(L, failure);
  lua_pushnil(L);
  if (ws.has_inbox) {
    Inbox& inbox = push_inbox(L, context_, kCallbacks, ws);
    ws.has_inbox = keeps_messages && !inbox.is_empty();
    inbox.websocket = nullptr;
    get_user_table(L, -1);
    wake_receiver(L, lua_gettop(L));
    lua_pop(L, 1);
    ws.has_inbox ? lua_replace(L, -2) : lua_pop(L, 1);
  }
  lua_call(L, 5, 0);
  lua_settop(L, failure - 1);
}

// --- Inboxes ---

Inbox& push_inbox(lua_State* L, LuaContext& context, int callbacks, LuaWebsocket& ws) {
  if (ws.has_inbox) {
    lua_rawgeti(L, callbacks, ws.on_receive);
    return *find_object<Inbox>(L, -1);
  }
  Inbox& inbox = push_object<Inbox>(L);
  Inbox::make_queue(L);
  if (ws.is_client && !is_closed(ws)) inbox.set_limit(ws.client->receive_buffer_bytes);
  inbox.taken_ms = monotonic_ms();
  // Finalizers may have ended it, or done the same, or set a function.
  if (is_closed(ws) || (ws.on_receive != kNoSlot && !ws.has_inbox)) return inbox;
  if (ws.has_inbox) {
    lua_pop(L, 1);
    return push_inbox(L, context, callbacks, ws);
  }
  lua_pushvalue(L, -1);
  context.callback_table().set_slot(L, callbacks, ws.on_receive);
  ws.has_inbox = true;
  inbox.websocket = &ws;
  return inbox;
}

void apply_reading(LuaWebsocket& ws) {
  const bool enabled = !ws.is_paused && !ws.is_full && !ws.is_flushing;
  ws.is_client ? ws.client->engine->set_reading(enabled) : ws.connection->set_reading(enabled);
}

}  // namespace websockets::lua
