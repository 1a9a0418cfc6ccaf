// SPDX-License-Identifier: MIT
#include "lua/inbox.h"

#include <array>
#include <cstring>
#include <initializer_list>
#include <new>

#include "base/bytes.h"
#include "lua/guarded.h"
#include "lua/push.h"
#include "lua/wrap_websocket.h"

namespace websockets::lua {

void Inbox::make_queue(lua_State* L) {
  lua_createtable(L, kFirst, 0);
  for (const int place : {kReceiver, kLastReceiver, kCoroutine}) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, place);
  }
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, kSelf);
  set_user_table(L, -2);
}

void Inbox::put(const MessageBatch::Message& message, std::size_t copied_bytes) {
  const Header header{static_cast<std::uint32_t>(message.payload.size()), message.type};
  const std::size_t end = messages_.size();
  messages_.resize(end + sizeof header + copied_bytes);
  std::memcpy(messages_.data() + end, &header, sizeof header);
  if (copied_bytes > 0) std::memcpy(messages_.data() + end + sizeof header, message.payload.data(), copied_bytes);
  bytes_ += message.payload.size() + kMessageBytes;
}

bool Inbox::put_small(const MessageBatch::Message& message) noexcept {
  try {
    put(message, message.payload.size());
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void Inbox::put_large(lua_State* L, const MessageBatch::Message& message) {
  get_user_table(L, -1);
  push_text(L, as_text(message.payload));
  lua_rawseti(L, -2, end_);
  lua_pop(L, 1);
  guarded(L, [&] { put(message, 0); });
  ++end_;
}

Inbox::Header Inbox::first() const {
  Header header;
  std::memcpy(&header, messages_.data() + begin_, sizeof header);
  return header;
}

void Inbox::take(lua_State* L, int index, lua_State* to) {
  const Header header = first();
  std::array<std::uint8_t, kMostSmallBytes> data;  // the string is made last: finalizers may take and put messages then
  begin_ += sizeof header;
  if (header.is_large()) {
    get_user_table(L, index);
    lua_rawgeti(L, -1, first_);
    lua_pushnil(L);
    lua_rawseti(L, -3, first_++);
    lua_remove(L, -2);
    if (first_ == end_) first_ = end_ = kFirst;
  } else if (header.bytes > 0) {
    std::memcpy(data.data(), messages_.data() + begin_, header.bytes);
    begin_ += header.bytes;
  }
  bytes_ -= header.bytes + kMessageBytes;
  if (is_empty()) clear();
  if (!header.is_large()) push_text(L, as_text({data.data(), header.bytes}));
  lua_pushinteger(L, type_number(header.type));
  if (to != L) lua_xmove(L, to, 2);
}

void Inbox::clear() {
  begin_ = 0;
  waiting_end_ = 0;
  messages_.clear();
  if (messages_.capacity() > kMostKeptBytes) std::vector<std::uint8_t>().swap(messages_);
}

void Inbox::on_timeout() {
  if (websocket == nullptr) return;
  is_late = true;
  context_of(*websocket).waits().make_ready(*this);
}

namespace {

// Leaves an empty one: others that are collected may have it still.
int collect(lua_State* L) {
  Inbox* const inbox = find_object<Inbox>(L, 1);
  if (inbox == nullptr) return 0;
  Inbox* const next_ready = inbox->next_ready;
  const bool is_ready = inbox->is_ready;
  inbox->~Inbox();
  new (inbox) Inbox;
  inbox->next_ready = next_ready;  // of the queue where it stays
  inbox->is_ready = is_ready;
  return 0;
}

}  // namespace

void register_inbox(lua_State* L) {
  push_metatable(L, Inbox::kType);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

}  // namespace websockets::lua
