// SPDX-License-Identifier: MIT
#include "lua/interruption.h"

#include <csignal>
#include <cstdlib>
#include <string_view>

namespace websockets::lua {
namespace {

constexpr std::string_view kInterrupted = "interrupted!";

struct Hook {
  lua_Hook function;
  int mask;
  int count;
};
thread_local Hook hook_before;
thread_local bool was_hook_called;

void restore_hook(lua_State* L) { lua_sethook(L, hook_before.function, hook_before.mask, hook_before.count); }

// Calls a hook, which has the value on top of the stack at 1 and restores the hook that there was if it raises an
// error. Within a hook Lua calls no other: then nothing happens. The value is taken.
void call_hook(lua_State* L, lua_Hook hook) {
  hook_before = {lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L)};
  lua_pushcfunction(L, [](lua_State*) { return 0; });
  lua_insert(L, -2);
  lua_sethook(L, hook, LUA_MASKCALL, 0);
  lua_call(L, 1, 0);
  restore_hook(L);
}

bool is_in_hook(lua_State* L) {
  was_hook_called = false;
  lua_pushnil(L);
  call_hook(L, [](lua_State*, lua_Debug*) { was_hook_called = true; });
  return !was_hook_called;
}

bool has_interrupt_handler() {
  struct sigaction action {};
  return ::sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler != SIG_DFL;
}
const bool kHadInterruptHandler = has_interrupt_handler();

}  // namespace

bool ends_with_interrupted(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TSTRING) return false;
  std::size_t size;
  const char* text = lua_tolstring(L, index, &size);
  return std::string_view(text, size).ends_with(kInterrupted);
}

bool is_interruption(lua_State* L, int index) {
  if (!ends_with_interrupted(L, index)) return false;
  return (kHadInterruptHandler && !has_interrupt_handler()) || is_in_hook(L);
}

void raise_by_hook(lua_State* L) {
  lua_pushvalue(L, -1);
  call_hook(L, [](lua_State* hooked, lua_Debug*) {
    restore_hook(hooked);
    lua_pushvalue(hooked, 1);
    lua_error(hooked);
  });
  lua_error(L);
  std::abort();
}

}  // namespace websockets::lua
