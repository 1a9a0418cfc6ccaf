// SPDX-License-Identifier: MIT
#include "lua/entry.h"

#include <utility>

#include "loop/loop.h"
#include "lua/shared_state.h"

namespace websockets::lua {

EntryWithoutRound::EntryWithoutRound(LuaContext& context, lua_State* L, int callbacks)
    : context_(context),
      outer_(context.calls().enter(L, callbacks)),
      running_before_(std::exchange(context.shared().running, &context)) {}

EntryWithoutRound::~EntryWithoutRound() {
  LuaCalls& calls = context_.calls();
  if (outer_.L == nullptr) {
    context_.callback_table().drop_released_payloads(calls.state(), calls.callbacks());
    if (!context_.is_open()) {
      context_.waits().end();
      context_.timers().stop_all(calls.state(), calls.callbacks());
    }
    context_.update_announced();
  }
  context_.shared().running = running_before_;
  calls.leave(outer_);
}

Entry::Entry(LuaContext& context, lua_State* L, int callbacks)
    : entry_(context, L, callbacks), in_round_(context.loop()) {
  if (in_round_ != nullptr) in_round_->enter();
}

Entry::~Entry() {
  if (in_round_ != nullptr) in_round_->leave();  // may call back
}

}  // namespace websockets::lua
