// SPDX-License-Identifier: MIT
#include "lua/lua_cluster.h"

#include <array>
#include <new>
#include <string>

#include "loop/loop.h"
#include "lua/lua_context.h"
#include "lua/push.h"

namespace websockets::lua {

LuaCluster::LuaCluster(LuaContext& context, const ClusterOptions& options, std::size_t max_message_bytes)
    : context_(context),
      tasks_(*context.loop()),
      tls_(tasks_),
      services_{*context.loop(), tasks_, tls_, nullptr},
      backplane_(services_, options, max_message_bytes, context.hub(), *this) {
  context.loop()->schedule(*this, 0);
}

LuaCluster::~LuaCluster() { context_.loop()->cancel(*this); }

void LuaCluster::finish() {
  context_.loop()->cancel(*this);
  backplane_.finish();
}

void LuaCluster::abandon() {
  context_.loop()->cancel(*this);
  backplane_.abandon();
}

// The loop is served for the first time. Short memory now may not last.
void LuaCluster::on_timeout() {
  constexpr std::uint64_t kAgainMs = 1000;
  try {
    backplane_.start();
  } catch (const std::bad_alloc&) {
    context_.loop()->schedule(*this, kAgainMs);
  }
}

void LuaCluster::on_cluster(ClusterEvent event, std::string_view why) {
  constexpr std::array<const char*, 3> kNames{"up", "down", "gap"};
  context_.calls().run(nullptr, [&](lua_State* L) {
    lua_rawgeti(L, LuaCalls::kCallbacks, kOnCluster);
    if (!lua_isfunction(L, -1)) return;
    lua_pushstring(L, kNames[static_cast<std::size_t>(event)]);
    push_text(L, why);
    lua_call(L, 2, 0);
  });
}

void LuaCluster::on_cluster_report(std::string_view text) { context_.calls().warn(text); }

// What the function returns is sent, if it is a string; an error is told, and the data sent as it is.
bool LuaCluster::wrap(std::string_view topic, Opcode& /*opcode*/, std::string_view data, std::string_view position,
                      std::string& wrapped) {
  bool is_wrapped = false;
  bool is_short = false;
  context_.calls().run(nullptr, [&](lua_State* L) {
    lua_rawgeti(L, LuaCalls::kCallbacks, kWrap);
    if (!lua_isfunction(L, -1)) return;
    push_text(L, data);
    push_text(L, position);
    push_text(L, topic);
    lua_call(L, 3, 1);
    if (lua_isstring(L, -1) == 0) raise(L, "the function history.wrap returned %s, not a string", describe(L));
    std::size_t size;
    const char* text = lua_tolstring(L, -1, &size);
    try {
      wrapped.assign(text, size);
      is_wrapped = true;
    } catch (const std::bad_alloc&) {
      is_short = true;
    }
  });
  if (is_short) throw std::bad_alloc();
  return is_wrapped;
}

}  // namespace websockets::lua
