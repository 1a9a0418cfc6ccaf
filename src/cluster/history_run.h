// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "cluster/history_message.h"

namespace websockets {

// Messages of a history, kept in memory, without a hole: all that there are behind one offset, up to another one.
class HistoryRun {
 public:
  // Has none, behind this offset.
  void restart(std::uint64_t offset);
  // Copies it; it is the next one. Throws std::bad_alloc, and has not changed then.
  void append(const HistoryMessage& message);
  // There is nothing more up to this offset.
  void extend(std::uint64_t end) { end_ = end > end_ ? end : end_; }
  // Those up to this offset are needed no more.
  void drop_through(std::uint64_t offset);
  // Drops the oldest ones until it takes so much; the newest one stays.
  void shrink(std::size_t max_bytes);

  std::uint64_t end() const { return end_; }
  std::uint64_t begin() const { return begin_; }
  // Whether what comes behind this offset is known here.
  bool covers(std::uint64_t offset) const { return begin_ <= offset && offset < end_; }

  class Message {
   public:
    explicit Message(const HistoryMessage& message);
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;
    const HistoryMessage& get() const { return message_; }

   private:
    std::string data_;
    HistoryMessage message_;
  };
  // The first one behind an offset that it covers; nullptr: there is none up to end(). Stays there as long as anybody
  // has it.
  std::shared_ptr<const Message> next(std::uint64_t offset) const;

 private:
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  std::size_t bytes_ = 0;
  std::deque<std::shared_ptr<const Message>> messages_;
};

}  // namespace websockets
