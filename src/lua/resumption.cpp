// SPDX-License-Identifier: MIT
#include "lua/resumption.h"

#include "lua/interruption.h"
#include "lua/push.h"
#include "lua/wrap_context.h"
#include "lua/wrap_websocket.h"

namespace websockets::lua {
namespace {

// The resumption refers to its context weakly. What it has to keep is in its metatable.
constexpr int kTopics = 1;     // the function of the option
constexpr int kPositions = 2;  // topic -> position

// Pushes something that the resumption on top of the stack, which is taken, keeps.
void replace_by_kept(lua_State* L, int place) {
  lua_getmetatable(L, -1);
  lua_rawgeti(L, -1, place);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

// The function of the option, data, type -> topic, position; or nothing.
int ask(lua_State* L) {
  lua_call(L, 2, 2);
  if (lua_isnil(L, 1) || lua_isnil(L, 2)) return 0;
  if (lua_type(L, 1) == LUA_TSTRING && lua_type(L, 2) == LUA_TSTRING) return 2;
  const char* const position = describe(L);
  lua_pushvalue(L, 1);
  raise(L, "the function for topics returned %s, %s, not two strings", describe(L), position);
}

// The error on top of the stack goes to on_error. What else the callback does goes on.
void report(lua_State* L, const LuaWebsocket& ws, LuaContext& context, int callbacks) {
  if (ends_with_interrupted(L, -1)) raise_by_hook(L);
  const int error = lua_gettop(L);
  const int self = is_closed(ws) ? kNoSlot : ws.self;
  enter(L, context, callbacks, [&] { context.calls().report_failure(error, self, "error in a callback: "); });
}

// Pushes the topic and the position of a message; false: it has none.
bool push_position(lua_State* L, const LuaWebsocket& ws, int data) {
  get_user_table(L, 1);
  int callbacks;
  LuaContext* const context = find_context(L, callbacks);
  if (context == nullptr) return false;
  lua_rawgeti(L, callbacks, kMessageHandler);
  const int message_handler = lua_gettop(L);
  lua_pushcfunction(L, ask);
  push_resumption(L, ws);
  replace_by_kept(L, kTopics);
  lua_pushvalue(L, data);
  lua_pushvalue(L, data + 1);
  if (lua_pcall(L, 3, LUA_MULTRET, message_handler) == 0) return lua_gettop(L) > message_handler;
  report(L, ws, *context, callbacks);
  return false;
}

int receive_noting(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const bool was_waiting = lua_toboolean(L, 4) != 0;
  lua_settop(L, 3);
  if (!accept_message(L, was_waiting) || is_closed(ws)) return 0;  // the function of the option has closed it
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 3, 0);
  return 0;
}

}  // namespace

void make_resumption(lua_State* L, int context) {
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, context);
  lua_rawseti(L, -2, kContext);
  lua_createtable(L, 2, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_pushvalue(L, -3);
  lua_rawseti(L, -2, kTopics);
  lua_newtable(L);
  lua_rawseti(L, -2, kPositions);
  lua_setmetatable(L, -2);
  lua_replace(L, -2);
}

void push_resumption(lua_State* L, const LuaWebsocket& ws) {
  get_user_table(L, 1);
  if (is_closed(ws)) return;
  lua_rawgeti(L, -1, ws.client->resumption);
  lua_replace(L, -2);
}

void replace_by_positions(lua_State* L) {
  replace_by_kept(L, kPositions);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, -3) != 0;) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_replace(L, -2);
}

void make_noting_receiver(lua_State* L) {
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, receive_noting, 1);
  lua_replace(L, 2);
}

bool accept_message(lua_State* L, bool was_waiting) {
  luaL_checkstack(L, 24, "websocket");
  const LuaWebsocket& ws = check_websocket(L);
  const int data = lua_gettop(L) - 1;
  const bool has_position = push_position(L, ws, data);
  if (has_position && !was_waiting) {
    push_resumption(L, ws);
    replace_by_kept(L, kPositions);
    lua_insert(L, -3);
    lua_rawset(L, -3);
  }
  lua_settop(L, data + 1);
  return !has_position || !was_waiting;
}

}  // namespace websockets::lua
