// SPDX-License-Identifier: MIT
#include "lua/lua_waits.h"

#include <algorithm>

#include "base/clock.h"
#include "loop/loop.h"
#include "lua/entry.h"
#include "lua/inbox.h"
#include "lua/lua_clients.h"
#include "lua/lua_context.h"
#include "lua/push.h"
#include "lua/shared_state.h"
#include "lua/wrap_receive.h"
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

// Whether it waits, indeed. Where Lua cannot tell beforehand that a coroutine cannot yield, it may have tried in vain.
bool is_suspended(const SharedState& shared, lua_State* coroutine) {
#if LUA_VERSION_NUM >= 503
  static_cast<void>(shared);
  return lua_status(coroutine) == LUA_YIELD;
#else
  return awaits_message(shared, coroutine);
#endif
}

bool may_yield(lua_State* L) {
#if LUA_VERSION_NUM >= 503
  return lua_isyieldable(L) != 0;
#else
  static_cast<void>(L);
  return true;
#endif
}

}  // namespace

// Something was taken from an inbox that was full. Whether reading goes on now.
bool resumes_reading(Inbox& inbox) {
  if (inbox.websocket == nullptr) return false;  // finalizers have ended it
  inbox.taken_ms = monotonic_ms();
  if (!inbox.has_room()) return false;
  inbox.websocket->is_full = false;
  return true;
}

bool is_suspended_in(lua_State* coroutine, const void* function) {
  if (lua_status(coroutine) != LUA_YIELD || lua_checkstack(coroutine, 1) == 0) return false;
  lua_Debug frame;
  for (int level = 1; lua_getstack(coroutine, level, &frame) != 0; ++level) {
    lua_getinfo(coroutine, "f", &frame);
    const bool is_it = lua_topointer(coroutine, -1) == function;
    lua_pop(coroutine, 1);
    if (is_it) return true;
  }
  return false;
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
  if (first_ > last_) {
    first_ = 1;
    last_ = 0;
  }
  return true;
}

// Those that are to go on now; who comes meanwhile waits for the next round.
void LuaWaits::go_on(lua_State* L, int waits) {
  luaL_checkstack(L, 16, "websocket");
  lua_pushnil(L);
  const int interruption = lua_gettop(L);
  for (int left = last_ - first_ + 1; left > 0 && first_ <= last_; --left) {  // one may serve the context, too
    lua_settop(L, interruption);
    push_function(L, kGoOn);
    lua_rawgeti(L, waits, first_);
    lua_pushnil(L);
    lua_rawseti(L, waits, first_++);
    lua_call(L, 2, 1);
    if (!lua_isnil(L, -1)) lua_replace(L, interruption);
  }
  go_on_receiving(L, waits, interruption);
  lua_settop(L, interruption);
  if (!lua_isnil(L, -1)) lua_error(L);
}

void LuaWaits::go_on_receiving(lua_State* L, int waits, int interruption) {
  for (std::size_t left = ready_.size(); left > 0 && !ready_.empty(); --left) {
    lua_settop(L, interruption);
    Inbox& inbox = ready_.pop();
    inbox.is_ready = false;
    if (inbox.websocket != nullptr) {
      lua_rawgeti(L, kCallbacks, inbox.websocket->on_receive);
    } else {
      lua_getfield(L, waits, "detached");
      lua_pushlightuserdata(L, &inbox);
      lua_rawget(L, -2);
      lua_pushlightuserdata(L, &inbox);
      lua_pushnil(L);
      lua_rawset(L, -4);
    }
    resume_receiver(L, inbox, interruption);
  }
}

// The inbox is on top of the stack. `interruption`: where one is left.
void LuaWaits::resume_receiver(lua_State* L, Inbox& inbox, int interruption) {
  lua_State* const coroutine = inbox.coroutine;
  if (!inbox.is_awaited || !is_suspended(context_.shared(), coroutine)) return;  // somebody else has resumed it
  const bool is_late = inbox.is_late;
  stop_awaiting(inbox);
  const int index = lua_gettop(L);
  lua_pushthread(coroutine);
  lua_xmove(coroutine, L, 1);  // another may receive last while it runs: then the queue does not keep it
  const char* token = &kIsDone;
  if (inbox.is_cancelled) {
    inbox.is_cancelled = false;
    lua_pushnil(coroutine);
    lua_pushliteral(L, "cancelled");
    lua_xmove(L, coroutine, 1);
  } else if (inbox.websocket != nullptr && !inbox.is_empty()) {
    inbox.take(L, index, coroutine);
    LuaWebsocket* const ws = inbox.websocket;
    if (ws != nullptr && ws->is_full && resumes_reading(inbox)) update_reading(L, *ws);
  } else if (inbox.websocket != nullptr && is_late) {
    lua_pushnil(coroutine);
    lua_pushliteral(L, "timeout");
    lua_xmove(L, coroutine, 1);
  } else {
    token = &kAgain;
    lua_pushnil(coroutine);
    lua_pushnil(coroutine);
  }
  lua_pushlightuserdata(coroutine, const_cast<char*>(token));
  const int status = resume(L, coroutine, 3);
  if (status == 0 || status == LUA_YIELD) return;
  push_function(L, kFail);
  lua_pushvalue(L, index + 1);
  lua_xmove(coroutine, L, 1);
  lua_call(L, 3, 1);
  if (!lua_isnil(L, -1)) lua_replace(L, interruption);
}

bool LuaWaits::await(lua_State* L, Inbox& inbox, std::uint64_t timeout_ms) {
  const LuaContext* const running = context_.shared().running;
  const bool is_in_callback = running != nullptr && running->calls().state() == L;
  if (inbox.coroutine != L || inbox.websocket == nullptr || inbox.is_noted || inbox.is_ready || is_in_callback ||
      !may_yield(L))
    return false;
  inbox.is_awaited = true;
  inbox.is_late = false;
  if (timeout_ms > 0) context_.loop()->schedule(inbox, timeout_ms);
  return true;
}

void LuaWaits::stop_awaiting(Inbox& inbox) {
  inbox.is_awaited = false;
  if (inbox.scheduled()) context_.loop()->cancel(inbox);
}

void LuaWaits::make_ready(Inbox& inbox) {
  if (!inbox.is_awaited || inbox.is_ready) return;
  inbox.is_ready = true;
  ready_.push(inbox);
}

void LuaWaits::detach(lua_State* L, int callbacks) {
  Inbox& inbox = inbox_at(L, -1);
  inbox.websocket = nullptr;
  if (inbox.scheduled()) context_.loop()->cancel(inbox);
  if (inbox.is_awaited || inbox.is_ready) {  // the table keeps it for as long as it is_ready
    lua_rawgeti(L, callbacks, kWaits);
    lua_getfield(L, -1, "detached");
    lua_pushlightuserdata(L, &inbox);
    lua_pushvalue(L, -4);
    lua_rawset(L, -3);
    lua_pop(L, 2);
    make_ready(inbox);
  }
  if (!inbox.is_noted) return;
  get_user_table(L, -1);
  wake_noted(L, callbacks, lua_gettop(L), inbox);
  lua_pop(L, 1);
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
  while (!ready_.empty()) ready_.pop();
  is_abandoned_ = true;
  first_ = 1;
  last_ = 0;
}

void LuaWaits::give_up() {
  context_.calls().run(nullptr, [this](lua_State* L) {
    push_function(L, kGiveUp);
    if (!lua_istable(L, -1)) return;
    lua_pushvalue(L, -1);
    lua_insert(L, -3);
    lua_call(L, 1, 0);
    for (; first_ <= last_; ++first_) {
      lua_pushnil(L);
      lua_rawseti(L, -2, first_);
    }
  });
  first_ = 1;
  last_ = 0;
}

void LuaWaits::await_end(const LuaWebsocket& ws) {
  const Lingering one{ws.closed_fd, ws.closed_serial, ws.is_client};
  if (std::find(lingering_.begin(), lingering_.end(), one) == lingering_.end()) lingering_.push_back(one);
}

bool LuaWaits::lingers(const LuaWebsocket& ws) const { return lingers({ws.closed_fd, ws.closed_serial, ws.is_client}); }

bool LuaWaits::has_lingered() const {
  return std::any_of(lingering_.begin(), lingering_.end(), [this](const Lingering& one) { return !lingers(one); });
}

bool LuaWaits::lingers(const Lingering& one) const {
  if (!context_.is_open()) return false;
  return one.is_client ? context_.clients().has_connection(one.fd, one.serial)
                       : context_.context().has_connection(one.fd, one.serial);
}

// --- Websockets ---

// Without Lua as long as messages are small.
bool LuaWaits::receive(LuaWebsocket& ws, Session& session, MessageBatch& messages) {
  Inbox* inbox = nullptr;
  const auto run = [&](auto body) {
    return context_.calls().run(&session.carrier(), [&](lua_State* L) {
      inbox = &push_inbox(L, context_, kCallbacks, ws);
      body(L);
    });
  };
  if (ws.has_inbox) {
    lua_State* const L = context_.calls().state();
    lua_rawgeti(L, context_.calls().callbacks(), ws.on_receive);
    inbox = &inbox_at(L, -1);
    lua_pop(L, 1);
  } else if (!run([](lua_State*) {})) {
    return false;
  }
  MessageBatch::Message message;
  bool is_full = false;
  // An inbox without its websocket: finalizers, which may do anything, have ended it, or it was collected itself.
  while (inbox->websocket == nullptr && messages.next(message)) {
  }
  while (!is_full && inbox->websocket != nullptr && session.takes_messages() && messages.next(message)) {
    if (message.payload.size() > Inbox::kMostSmallBytes) {
      if (!run([&](lua_State* L) { inbox->put_large(L, message); })) return false;
    } else if (!inbox->put_small(message)) {
      return false;
    }
    is_full = inbox->is_full();
  }
  if (inbox->websocket == nullptr) return true;
  make_ready(*inbox);
  if (!inbox->is_noted && !is_full) return true;
  return run([&](lua_State* L) {
    if (inbox->is_noted) {
      get_user_table(L, -1);
      wake_noted(L, kCallbacks, lua_gettop(L), *inbox);
    }
    if (is_full) note_full(L, ws);
  });
}

// Watching the descriptor no more, or again, may call on_del_fd or on_add_fd: so an Entry is needed within a function.
void LuaWaits::update_reading(lua_State* L, LuaWebsocket& ws) {
  guarded(L, [&] {
    const Entry entry(context_, L, kCallbacks);
    apply_reading(ws);
  });
}

void LuaWaits::note_full(lua_State* L, LuaWebsocket& ws) {
  ws.is_full = true;
  update_reading(L, ws);
  push_function(L, kNoteFull);
  lua_rawgeti(L, kCallbacks, ws.self);
  lua_call(L, 2, 0);
}

// The thread that waits for a message, and is_noted, goes on.
void LuaWaits::wake_noted(lua_State* L, int callbacks, int queue, Inbox& inbox) {
  inbox.is_noted = false;
  lua_rawgeti(L, queue, Inbox::kReceiver);
  lua_rawgeti(L, -1, kWhy);
  const bool is_woken = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  if (is_woken) return lua_pop(L, 1);
  lua_pushboolean(L, 1);
  lua_rawseti(L, -2, kWhy);
  make_ready(L, callbacks);
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
    detach(L, kCallbacks);
    ws.has_inbox = keeps_messages && !inbox.is_empty();
    ws.has_inbox ? lua_replace(L, -2) : lua_pop(L, 1);
  }
  lua_call(L, 5, 0);
  lua_settop(L, failure - 1);
}

// --- Inboxes ---

Inbox& push_inbox(lua_State* L, LuaContext& context, int callbacks, LuaWebsocket& ws) {
  if (ws.has_inbox) {
    lua_rawgeti(L, callbacks, ws.on_receive);
    return inbox_at(L, -1);
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
