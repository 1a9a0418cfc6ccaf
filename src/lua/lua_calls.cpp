// SPDX-License-Identifier: MIT
#include "lua/lua_calls.h"

#include <array>
#include <cstdio>
#include <utility>

#include "lua/describe_error.h"
#include "lua/interruption.h"
#include "lua/lua_websocket.h"
#include "lua/push.h"

namespace websockets::lua {
namespace {

struct ProtectedCall {
  void (*function)(lua_State*, void*);
  void* argument;
  bool has_begun = false;
};

int trampoline(lua_State* L) {
  auto* call = static_cast<ProtectedCall*>(lua_touserdata(L, 1));
  call->has_begun = true;
  call->function(L, call->argument);
  return 0;
}

// Makes the error a string with a traceback. So what still ends like an interruption is one.
int message_handler(lua_State* L) {
  lua_settop(L, 1);
  if (is_interruption(L, 1)) return 1;
  describe_error(L, 1);
#if LUA_VERSION_NUM >= 502
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
#else
  if (!lua_isfunction(L, lua_upvalueindex(1))) {
    lua_pushfstring(L, "%s\n(no traceback)", lua_tostring(L, 1));
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 2);
  lua_call(L, 2, 1);
#endif
  return 1;
}

}  // namespace

void push_trampoline(lua_State* L) { lua_pushcfunction(L, trampoline); }

void push_message_handler(lua_State* L) {
#if LUA_VERSION_NUM == 501
  lua_getglobal(L, "debug");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "traceback");
    lua_remove(L, -2);
  }
  lua_pushcclosure(L, message_handler, 1);
#else
  lua_pushcfunction(L, message_handler);
#endif
}

LuaCalls::Place LuaCalls::enter(lua_State* L, int callbacks) {
  lua_pushvalue(L, callbacks);
  lua_rawgeti(L, callbacks, kMessageHandler);
  const int top = lua_gettop(L);
  return std::exchange(place_, {L, top - 1, top});
}

void LuaCalls::leave(const Place& before) {
  lua_settop(place_.L, place_.callbacks - 1);
  place_ = before;
}

bool LuaCalls::call_protected(void* const* websocket, void (*function)(lua_State*, void*), void* argument) {
  lua_State* const L = place_.L;
  ProtectedCall call{function, argument};
  for (;;) {
    lua_rawgeti(L, place_.callbacks, kTrampoline);
    lua_pushlightuserdata(L, &call);
    lua_pushvalue(L, place_.callbacks);
    if (lua_pcall(L, 2, 0, place_.message_handler) == 0) return true;
    if (!take_interruption()) break;
    if (call.has_begun) return true;  // the hook is called before the function, too
  }
  report_error(websocket);
  return false;
}

// Takes the error on top of the stack, if it is one. The first one is kept.
bool LuaCalls::take_interruption() {
  lua_State* const L = place_.L;
  if (!ends_with_interrupted(L, -1)) return false;
  if (std::exchange(is_interrupted_, true)) {
    lua_pop(L, 1);
  } else {
    lua_rawseti(L, place_.callbacks, kInterruption);
  }
  return true;
}

void LuaCalls::raise_now(lua_State* L, int callbacks) {
  is_interrupted_ = false;
  lua_rawgeti(L, callbacks, kInterruption);
  lua_pushboolean(L, 0);
  lua_rawseti(L, callbacks, kInterruption);
  raise_by_hook(L);
}

void LuaCalls::call(int function) {
  lua_State* const L = place_.L;
  lua_pushvalue(L, function);
  if (lua_pcall(L, 0, 0, place_.message_handler) != 0 && !take_interruption()) report_error(nullptr);
}

void LuaCalls::warn(std::string_view text) {
  run(nullptr, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, kOnError);
    push_text(L, text);
    if (!lua_isfunction(L, -2)) {
      static_cast<void>(std::fprintf(stderr, "websockets: %s\n", lua_tostring(L, -1)));
      return;
    }
    lua_pushnil(L);
    if (worker_ != 0) lua_pushinteger(L, worker_);
    lua_call(L, worker_ != 0 ? 3 : 2, 0);
  });
}

void LuaCalls::report_warning(int text) {
  lua_pushvalue(place_.L, text);
  report(kNoSlot, "");
}

void LuaCalls::report_failure(int text, int self, const char* what) {
  lua_pushvalue(place_.L, text);
  report(self, what);
}

void LuaCalls::report_error(void* const* websocket) {
  // It may have lost its websocket meanwhile, and that its memory.
  const LuaWebsocket* const ws = websocket == nullptr ? nullptr : static_cast<LuaWebsocket*>(*websocket);
  report(ws == nullptr ? kNoSlot : ws->self, "error in a callback: ");
}

// Takes the error on top of the stack to on_error, or to stderr.
void LuaCalls::report(int self, const char* what) {
  lua_State* const L = place_.L;
  const int error = lua_gettop(L);
  struct Report {
    int self;
    int worker;
    bool was_taken;
  } report{self, worker_, false};
  ProtectedCall call{[](lua_State* inner, void* argument) {
                       auto& taken = *static_cast<Report*>(argument);
                       lua_rawgeti(inner, LuaCalls::kCallbacks, kOnError);
                       if (!lua_isfunction(inner, -1)) return;
                       lua_pushvalue(inner, 3);
                       if (taken.self == kNoSlot) {
                         lua_pushnil(inner);
                       } else {
                         lua_rawgeti(inner, LuaCalls::kCallbacks, taken.self);
                       }
                       if (taken.worker != 0) lua_pushinteger(inner, taken.worker);
                       lua_call(inner, taken.worker != 0 ? 3 : 2, 0);
                       taken.was_taken = true;
                     },
                     &report};
  lua_rawgeti(L, place_.callbacks, kTrampoline);
  lua_pushlightuserdata(L, &call);
  lua_pushvalue(L, place_.callbacks);
  lua_pushvalue(L, error);
  const bool failed = lua_pcall(L, 3, 0, place_.message_handler) != 0 && !take_interruption();
  // The message handler made strings of both; if memory was short, what is there may be something else.
  std::array<char, 32> where{};
  if (worker_ != 0) static_cast<void>(std::snprintf(where.data(), where.size(), "worker %d: ", worker_));
  const auto show = [L, &where](int index, const char* kind) {
    static_cast<void>(std::fprintf(stderr, "websockets: %s%s%s\n", where.data(), kind,
                                   lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "not enough memory"));
  };
  if (failed || !report.was_taken) show(error, what);
  if (failed) show(-1, "error in a callback: ");
  lua_settop(L, error - 1);
}

}  // namespace websockets::lua
