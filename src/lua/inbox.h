// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lua/compat.h"
#include "lua/userdata.h"
#include "net/timer_wheel.h"
#include "websocket/message_batch.h"

namespace websockets::lua {

struct LuaWebsocket;

// The messages of a websocket that nobody has received yet. It lies behind a userdata, which has the place of the
// websocket's function for messages; its user table is the queue, which has the large ones.
class Inbox final : public Timer {
 public:
  static constexpr char kType[] = "websockets.inbox";
  // What a websocket of a server leaves unread before reading stops.
  static constexpr std::size_t kUsualLimit = 64U << 10U;
  // What a message takes beside its data.
  static constexpr std::size_t kMessageBytes = 32;
  // A message of more is a string in the queue.
  static constexpr std::size_t kMostSmallBytes = 1024;
  // The places in the queue of what is no message.
  static constexpr int kReceiver = 1;      // the thread that waits for one, if it has_thread; or false
  static constexpr int kLastReceiver = 2;  // the thread of the coroutine that has received last, or false
  static constexpr int kCoroutine = 3;     // that coroutine, which may have ended, or false
  static constexpr int kSelf = 4;          // the userdata

  void set_limit(std::size_t bytes) { limit_ = bytes; }
  bool is_empty() const { return begin_ == messages_.size(); }
  // Reading has to stop: what waits behind the first message is as much as may be left unread.
  bool is_full() const { return bytes_ >= limit_ && bytes_ - first_bytes() >= limit_; }
  // Reading may go on.
  bool has_room() const { return bytes_ <= limit_ / 2 || bytes_ == first_bytes(); }

  // Those that are in it now were so at an opening. It is asked of the first one.
  void mark_waiting() { waiting_end_ = messages_.size(); }
  bool was_waiting() const { return begin_ < waiting_end_; }

  // Makes the queue of the inbox on top of the stack.
  static void make_queue(lua_State* L);
  // False, and nothing else, if memory is short.
  bool put_small(const MessageBatch::Message& message) noexcept;
  // One of more than kMostSmallBytes. The inbox is on top of the stack. Raises if memory is short.
  void put_large(lua_State* L, const MessageBatch::Message& message);
  // Pushes the data and the type of the first message, of which there is one, onto another state's stack, too, which
  // has room for 4 values. The inbox is at `index`. May run finalizers, which may do anything.
  void take(lua_State* L, int index, lua_State* to);
  void on_timeout() override;

  // --- Who receives ---

  // The coroutine that may wait without being noted; the queue keeps it. Null: there is none.
  lua_State* coroutine = nullptr;
  Inbox* next_ready = nullptr;
  bool is_ready = false;      // the coroutine goes on at the end of the round
  bool is_awaited = false;    // it waits, or is_ready
  bool is_cancelled = false;  // it goes on without a message
  bool is_late = false;       // likewise: its time is over, as which this is a Timer
  bool is_noted = false;      // a thread waits, and is to be woken
  bool has_thread = false;    // likewise, or it was woken, and is about to go on

  LuaWebsocket* websocket = nullptr;  // null: it is closed, or has a function now
  std::uint64_t taken_ms = 0;         // when a message was taken from it while it was full, or it was made, last

 private:
  // A message: this, and its data, unless it is large.
  struct Header {
    std::uint32_t bytes;
    MessageType type;

    bool is_large() const { return bytes > kMostSmallBytes; }
  };
  void put(const MessageBatch::Message& message, std::size_t copied_bytes);
  void clear();

  static constexpr std::size_t kMostKeptBytes = 2048;  // of memory, while it is empty
  static constexpr int kFirst = kSelf + 1;

  Header first() const;
  std::size_t first_bytes() const { return is_empty() ? 0 : first().bytes + kMessageBytes; }

  std::vector<std::uint8_t> messages_;
  std::size_t begin_ = 0;        // of the first message
  std::size_t waiting_end_ = 0;  // of those that were marked
  int first_ = kFirst;           // of the strings in the queue
  int end_ = kFirst;
  std::size_t bytes_ = 0;
  std::size_t limit_ = kUsualLimit;
};

// Of the userdata at an index, which is one.
inline Inbox& inbox_at(lua_State* L, int index) {
  return static_cast<Userdata<Inbox>*>(lua_touserdata(L, index))->object;
}

// Makes their metatable.
void register_inbox(lua_State* L);

// The values of WRITE_TEXT and WRITE_BINARY.
inline lua_Integer type_number(MessageType type) { return type == MessageType::kText ? 0 : 1; }

}  // namespace websockets::lua
