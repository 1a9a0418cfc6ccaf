// SPDX-License-Identifier: MIT
#include "lua/served_along.h"

#include "loop/loop.h"
#include "lua/default_context.h"
#include "lua/entry.h"
#include "lua/lua_context.h"
#include "lua/shared_state.h"
#include "lua/wrap_context.h"
#include "server/context.h"

namespace websockets::lua {
namespace {

constexpr int kPollMs = 10;

}  // namespace

ServedAlong::ServedAlong(LuaContext& host)
    : Pollable(-1), host_(host), shared_(host.shared()), outer_(shared_.served_along), is_needed_(true) {
  for (const ServedAlong* each = outer_; each != nullptr; each = each->outer_) {
    if (&each->host_ == &host) is_needed_ = false;
  }
  shared_.served_along = this;
}

ServedAlong::~ServedAlong() {
  detach();
  shared_.served_along = outer_;
}

// Null: there is none to be served by this host.
LuaContext* ServedAlong::other() const {
  return is_needed_ && shared_.default_context != &host_ ? shared_.default_context : nullptr;
}

bool ServedAlong::is_idle() const {
  const LuaContext* const context = other();
  return context == nullptr || context->is_idle();
}

bool ServedAlong::is_interrupted() const {
  LuaContext* const context = other();
  return context != nullptr && context->calls().is_interrupted();
}

int ServedAlong::prepare() {
  LuaContext* const context = other();
  if (context == nullptr || fd_ >= 0) return -1;
  if (!polls_) {
    const Result<int> descriptor = context->loop()->poll_descriptor();
    fd_ = descriptor ? *descriptor : -1;
    if (fd_ >= 0 && host_.loop()->watch_internal(*this)) return -1;
    fd_ = -1;
    polls_ = true;
  }
  return kPollMs;
}

void ServedAlong::detach() {
  if (fd_ >= 0) host_.loop()->unwatch_internal(*this);
  fd_ = -1;
}

void ServedAlong::on_ready(unsigned) {
  if (fd_ >= 0) serve();
}

void ServedAlong::serve() {
  LuaContext* const context = other();
  lua_State* const L = host_.calls().state();
  if (context == nullptr || lua_checkstack(L, 16) == 0) return;
  const int top = lua_gettop(L);
  push_context(L, *context);
  get_user_table(L, -1);
  {
    const Entry entry(*context, L, top + 2);
    context->context().service(0);
  }
  lua_settop(L, top);
}

}  // namespace websockets::lua
