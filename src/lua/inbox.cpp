// SPDX-License-Identifier: MIT
#include "lua/inbox.h"

#include <initializer_list>

#include "base/bytes.h"
#include "lua/push.h"

namespace websockets::lua {

bool Inbox::is_full(lua_State* L, int queue) const {
  if (bytes_ < limit_ || end_ - first_ <= 2) return false;
  lua_rawgeti(L, queue, first_);
  const std::size_t first_bytes = raw_length(L, -1) + kMessageBytes;
  lua_pop(L, 1);
  return bytes_ - first_bytes >= limit_;
}

void Inbox::make_queue(lua_State* L) {
  lua_createtable(L, kFirst + 1, 0);
  for (const int place : {kReceiver, kLastReceiver}) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, place);
  }
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, kSelf);
  set_user_table(L, -2);
}

void Inbox::put(lua_State* L, int queue, const MessageBatch::Message& message) {
  push_text(L, as_text(message.payload));
  lua_rawseti(L, queue, end_);
  lua_pushinteger(L, type_number(message.type));
  lua_rawseti(L, queue, end_ + 1);
  end_ += 2;
  bytes_ += message.payload.size() + kMessageBytes;
}

void Inbox::take(lua_State* L, int queue) {
  lua_rawgeti(L, queue, first_);
  lua_pushnil(L);
  lua_rawseti(L, queue, first_);
  lua_rawgeti(L, queue, first_ + 1);
  bytes_ -= raw_length(L, -2) + kMessageBytes;
  first_ += 2;
  if (first_ == end_) first_ = end_ = kFirst;
}

}  // namespace websockets::lua
