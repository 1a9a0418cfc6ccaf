// SPDX-License-Identifier: MIT
#include "lua/lua_clients.h"

#include <memory>

#include "lua/client_tables.h"
#include "lua/connect_options.h"
#include "lua/inbox.h"
#include "lua/lua_client.h"
#include "lua/lua_context.h"
#include "lua/lua_websocket.h"
#include "lua/push.h"
#include "lua/resumption.h"
#include "server/hub.h"

namespace websockets::lua {
namespace {

LuaWebsocket& websocket_of(const Client& client) { return *static_cast<LuaWebsocket*>(client.user()); }

// Pushes a function of a client, and the client as its first argument.
void push_function(lua_State* L, const LuaWebsocket& ws, int slot) {
  lua_rawgeti(L, LuaCalls::kCallbacks, slot);
  lua_rawgeti(L, LuaCalls::kCallbacks, ws.self);
}

// Calls it, unless finalizers have closed the websocket while its arguments were made.
bool call_function(lua_State* L, const LuaClient& client, int arguments, int results) {
  if (client.engine->user() == nullptr) return false;
  lua_call(L, arguments, results);
  return true;
}

}  // namespace

LuaClients::LuaClients(LuaContext& context)
    : context_(context),
      tasks_(*context.loop()),
      tls_(tasks_),
      services_{*context.loop(), tasks_, tls_, nullptr},
      dials_(services_),
      clients_(*context.loop(), dials_, *this, context) {}

// --- Events ---

const char* LuaClients::on_attempt(Client& engine, ClientRequest& request) {
  const LuaWebsocket& ws = websocket_of(engine);
  const LuaClient& client = *ws.client;
  const char* running = "the function for the URL failed";
  const bool succeeded = context_.calls().run(&client.engine->user(), [&](lua_State* L) {
    if (client.url != kNoSlot) {
      push_function(L, ws, client.url);
      if (!call_function(L, client, 1, 1)) return;
      take_url(L, request.url);
    }
    if (client.engine->user() == nullptr || client.headers == kNoSlot) return;
    running = "the function for headers failed";
    push_function(L, ws, client.headers);
    if (call_function(L, client, 1, 1)) take_headers(L, request.headers);
  });
  return succeeded ? nullptr : running;
}

bool LuaClients::on_open(Client& engine) {
  const LuaWebsocket& ws = websocket_of(engine);
  const LuaClient& client = *ws.client;
  if (ws.resumes && ws.has_inbox) mark_inbox(ws);
  notify(ws);
  if (client.on_open == kNoSlot) return true;
  return context_.calls().run(&client.engine->user(), [&](lua_State* L) {
    push_function(L, ws, client.on_open);
    lua_rawgeti(L, LuaCalls::kCallbacks, client.resumption);  // before finalizers may close it
    push_response(L, engine);
    lua_insert(L, -2);
    ws.resumes ? replace_by_positions(L) : lua_pop(L, 1);
    call_function(L, client, ws.resumes ? 3 : 2, 0);
  });
}

// A function that fails changes nothing.
bool LuaClients::on_retry(Client& engine, double& seconds, const ClientFailure& failure) {
  const LuaWebsocket& ws = websocket_of(engine);
  const LuaClient& client = *ws.client;
  notify(ws);
  if (client.on_retry == kNoSlot) return true;
  bool goes_on = true;
  context_.calls().run(&client.engine->user(), [&](lua_State* L) {
    push_function(L, ws, client.on_retry);
    lua_pushnumber(L, static_cast<lua_Number>(seconds));
    push_failure(L, failure);
    if (!call_function(L, client, 3, 1) || lua_isnil(L, -1)) return;
    const bool is_false = lua_isboolean(L, -1) && lua_toboolean(L, -1) == 0;
    const double number = lua_type(L, -1) == LUA_TNUMBER ? static_cast<double>(lua_tonumber(L, -1)) : -1;
    if (!is_false && !(number >= 0 && number <= kMaxRetrySeconds)) {
      raise(L, "on_retry returned %s, not false, a number of seconds or nil", describe(L));
    }
    if (is_false) {
      goes_on = false;
    } else {
      seconds = number;
    }
  });
  return goes_on;
}

void LuaClients::on_client_closed(Client& engine, CloseCode code, std::string_view reason,
                                  const ClientFailure& failure) {
  LuaWebsocket& ws = websocket_of(engine);
  const bool was_ended_here = ws.was_closed_here || context_.loop()->is_stopped();
  if (ws.is_flushing && !was_ended_here) {
    context_.calls().run(nullptr, [&](lua_State* L) { context_.waits().flush(L, ws); });
  }
  if (ws.on_closed != kNoSlot) {
    context_.calls().run(&ws.client->engine->user(), [&](lua_State* L) {
      push_function(L, ws, ws.on_closed);
      lua_pushinteger(L, static_cast<lua_Integer>(code));
      push_text(L, reason);
      push_failure(L, failure);
      lua_call(L, 4, 0);
    });
  }
  context_.calls().run(nullptr, [&](lua_State* L) {
    push_failure(L, failure);
    context_.waits().note_end(L, ws, reason, !was_ended_here && !ws.was_closed_here);
  });
  detach(ws);
  ws.close_code = static_cast<int>(code);
}

// The peer is told now what was got, not what waits.
void LuaClients::mark_inbox(const LuaWebsocket& ws) {
  lua_State* const L = context_.calls().state();
  lua_rawgeti(L, context_.calls().callbacks(), ws.on_receive);
  inbox_at(L, -1).mark_waiting();
  lua_pop(L, 1);
}

// Threads that wait for something look for it.
void LuaClients::notify(const LuaWebsocket& ws) {
  if (ws.has_waiters) context_.calls().run(nullptr, [&](lua_State* L) { context_.waits().notify(L, ws); });
}

// That was abandoned: nobody was told.
void LuaClients::on_client_freed(Client& engine) { detach(websocket_of(engine)); }

void LuaClients::detach(LuaWebsocket& ws) {
  LuaClient& client = *ws.client;
  lua_State* const L = context_.calls().state();
  client.engine->set_user(nullptr);
  const int callbacks = context_.calls().callbacks();
  context_.hub().unsubscribe_all(client);
  lua_rawgeti(L, callbacks, ws.self);
  context_.release(ws);
  if (ws.resumes) {
    lua_rawgeti(L, callbacks, client.resumption);
    set_user_table(L, -2);
  }
  lua_pop(L, 1);
  for (int* slot : {&client.on_open, &client.on_retry, &client.url, &client.headers, &client.resumption}) {
    context_.callback_table().free_slot(L, callbacks, *slot);
  }
  ws.closed_fd = client.engine->descriptor();
  ws.closed_serial = client.engine->connection_serial();
  context_.loop()->dispose(std::unique_ptr<Disposable>(&client));
}

}  // namespace websockets::lua
