// SPDX-License-Identifier: MIT
// The methods of a context that let another event loop serve it.
#include "lua/wrap_outer_loop.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "lua/check_bytes.h"
#include "lua/entry.h"
#include "lua/guarded.h"
#include "lua/lua_context.h"
#include "lua/push.h"
#include "lua/wrap_context.h"
#include "server/context.h"

namespace websockets::lua {
namespace {

constexpr const char* kReventExpected = "'r', 'w', 'rw' or a number of poll bits expected";

// poll(2)'s bits, lua-ev's (READ 1, WRITE 2, also as a float), and "r", "w", "rw". All are only a hint: see
// Context::service_descriptor.
void check_revent(lua_State* L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    const std::string_view text = as_text(check_bytes(L, index));
    luaL_argcheck(L, text == "r" || text == "w" || text == "rw", index, kReventExpected);
    return;
  }
  luaL_argcheck(L, lua_type(L, index) == LUA_TNUMBER, index, kReventExpected);
  const auto bits = static_cast<double>(lua_tonumber(L, index));
  luaL_argcheck(L, bits >= 0 && bits == std::floor(bits), index, kReventExpected);
}

int service_fd(lua_State* L) {
  check_revents(L, 3);
  const auto fd = static_cast<double>(luaL_checknumber(L, 2));
  luaL_argcheck(L, fd == std::floor(fd), 2, "a file descriptor expected");
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  const bool is_possible = fd >= 0 && fd <= std::numeric_limits<int>::max();
  return serve_descriptor(L, context, callbacks, is_possible ? static_cast<int>(fd) : -1);
}

int pollfd(lua_State* L) {
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  int fd = -1;
  ErrorCopy why;
  guarded(L, [&] {
    Result<int> result = context.loop()->poll_descriptor();
    if (result) {
      fd = *result;
    } else {
      why = result.error();
    }
  });
  if (fd < 0) return push_error(L, why);
  lua_pushinteger(L, fd);
  return 1;
}

int events(lua_State* L) {
  int callbacks;
  check_context(L, callbacks);
  lua_pushliteral(L, "r");
  return 1;
}

int timeout(lua_State* L) {
  int callbacks;
  LuaContext& context = check_context(L, callbacks);
  const int idle_ms = context.loop()->idle_ms();
  if (idle_ms < 0) {
    lua_pushnil(L);
  } else {
    lua_pushnumber(L, static_cast<lua_Number>(idle_ms) / 1000);
  }
  return 1;
}

}  // namespace

void check_revents(lua_State* L, int first) {
  const int last = std::max(lua_gettop(L), first);
  for (int index = first; index <= last; ++index) check_revent(L, index);
}

int serve_descriptor(lua_State* L, LuaContext& context, int callbacks, int fd) {
  auto status = Context::DescriptorStatus::kServed;
  enter(L, context, callbacks, [&] { status = context.context().service_descriptor(fd); });
  const bool failed = status == Context::DescriptorStatus::kAcceptFailed;
  lua_pushinteger(L, failed ? -1 : status == Context::DescriptorStatus::kClosed ? 1 : 0);
  return 1;
}

const luaL_Reg kOuterLoopMethods[] = {
    {"service_fd", service_fd}, {"pollfd", pollfd},   {"getfd", pollfd},
    {"events", events},         {"timeout", timeout}, {nullptr, nullptr},
};

}  // namespace websockets::lua
