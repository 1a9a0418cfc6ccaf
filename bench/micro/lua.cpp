// SPDX-License-Identifier: MIT
// What Lua's API costs a message, whatever the engine does: the calls that take it to a Lua function, and no more.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <lua.hpp>
#include <memory>
#include <string>

namespace {

struct Closer {
  void operator()(lua_State* L) const { lua_close(L); }
};

struct Messages {
  std::int64_t count;  // of one protected call
  bool are_different;  // Lua has a string already that is the same
  std::uint64_t number = 0;
  std::string text = std::string(20, 'x');
};

constexpr int kCallbacks = 1, kFunction = 1, kSelf = 2;

// The callbacks table is the first argument, the messages are the second.
int deliver(lua_State* L) {
  auto& messages = *static_cast<Messages*>(lua_touserdata(L, 2));
  for (std::int64_t i = 0; i < messages.count; ++i) {
    if (messages.are_different) std::memcpy(messages.text.data(), &++messages.number, sizeof messages.number);
    lua_rawgeti(L, kCallbacks, kFunction);
    lua_rawgeti(L, kCallbacks, kSelf);
    lua_pushlstring(L, messages.text.data(), messages.text.size());
    lua_pushinteger(L, 1);
    lua_call(L, 3, 0);
  }
  return 0;
}

// The time is that of one protected call, with so many callbacks in it.
void callbacks(benchmark::State& state, bool are_different) {
  const std::unique_ptr<lua_State, Closer> owner(luaL_newstate());
  lua_State* const L = owner.get();
  Messages messages{state.range(0), are_different};
  lua_newtable(L);
  if (luaL_loadstring(L, "local kept return function(ws, data, type) kept = data end") != 0) std::abort();
  lua_call(L, 0, 1);
  lua_rawseti(L, kCallbacks, kFunction);
  lua_newuserdata(L, 1);
  lua_rawseti(L, kCallbacks, kSelf);
  for (auto _ : state) {
    lua_pushcfunction(L, deliver);
    lua_pushvalue(L, kCallbacks);
    lua_pushlightuserdata(L, &messages);
    if (lua_pcall(L, 2, 0, 0) != 0) state.SkipWithError(lua_tostring(L, -1));
  }
  state.SetItemsProcessed(state.iterations() * messages.count);
}
BENCHMARK_CAPTURE(callbacks, same_message, false)->Arg(0)->Arg(1)->Arg(64);
BENCHMARK_CAPTURE(callbacks, different_messages, true)->Arg(1)->Arg(64);

}  // namespace

BENCHMARK_MAIN();
