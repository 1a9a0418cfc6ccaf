// SPDX-License-Identifier: MIT
#include "lua/inbox.h"

#include <cstring>
#include <initializer_list>

#include "base/bytes.h"
#include "lua/guarded.h"
#include "lua/push.h"

namespace websockets::lua {

void Inbox::make_queue(lua_State* L) {
  lua_createtable(L, kFirst, 0);
  for (const int place : {kReceiver, kLastReceiver}) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, place);
  }
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, kSelf);
  set_user_table(L, -2);
}

void Inbox::put(lua_State* L, int queue, const MessageBatch::Message& message) {
  const std::size_t bytes = message.payload.size();
  const Header header{static_cast<std::uint32_t>(bytes), message.type == MessageType::kBinary,
                      bytes > kMostCopiedBytes};
  if (header.is_in_queue) {
    push_text(L, as_text(message.payload));
    lua_rawseti(L, queue, end_);
  }
  const std::size_t end = messages_.size();
  guarded(L, [&] { messages_.resize(end + sizeof header + (header.is_in_queue ? 0 : bytes)); });
  std::memcpy(messages_.data() + end, &header, sizeof header);
  if (header.is_in_queue) {
    ++end_;
  } else if (bytes > 0) {
    std::memcpy(messages_.data() + end + sizeof header, message.payload.data(), bytes);
  }
  bytes_ += bytes + kMessageBytes;
}

Inbox::Header Inbox::first() const {
  Header header;
  std::memcpy(&header, messages_.data() + begin_, sizeof header);
  return header;
}

void Inbox::take(lua_State* L, int queue) {
  const Header header = first();
  const std::uint8_t* const data = messages_.data() + begin_ + sizeof header;
  if (header.is_in_queue) {
    lua_rawgeti(L, queue, first_);
    lua_pushnil(L);
    lua_rawseti(L, queue, first_++);
    if (first_ == end_) first_ = end_ = kFirst;
  } else {
    push_text(L, as_text({data, header.bytes}));
  }
  lua_pushinteger(L, type_number(header.is_binary ? MessageType::kBinary : MessageType::kText));
  begin_ += sizeof header + (header.is_in_queue ? 0 : header.bytes);
  bytes_ -= header.bytes + kMessageBytes;
  if (!is_empty()) return;
  begin_ = 0;
  messages_.clear();
  if (messages_.capacity() > kMostKeptBytes) clear();
}

void Inbox::clear() {
  std::vector<std::uint8_t>().swap(messages_);
  begin_ = 0;
}

namespace {

int collect(lua_State* L) {
  if (Inbox* const inbox = find_object<Inbox>(L, 1)) inbox->clear();
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
