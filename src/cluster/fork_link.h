// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace websockets {

// Messages from a process to a child that it has forked, in order and whole. They wait in memory that both share, so
// that they arrive even if the sender does nothing afterwards. A socket pair wakes, and tells each when the other is
// gone.
class ForkLink {
 public:
  // Before the fork. At least `capacity` bytes can wait.
  static Result<std::unique_ptr<ForkLink>> create(std::size_t capacity);
  ~ForkLink();
  ForkLink(const ForkLink&) = delete;
  ForkLink& operator=(const ForkLink&) = delete;

  // After the fork, in each of the processes.
  void become_sender();
  void become_receiver();

  // --- The sender ---

  enum class Status : std::uint8_t { kSent, kBusy, kClosed };

  // Sends a message of any size. If there is no room, waits for the receiver to take something; kBusy when it takes
  // nothing for `timeout_ms`: the receiver will see nothing of that message then. kClosed: the receiver is gone.
  Status send(std::uint32_t tag, std::span<const std::uint8_t> data, std::uint64_t timeout_ms);
  // Tells the receiver that this was the last one, and waits for its end. False: it has not ended in time.
  bool finish(std::uint64_t timeout_ms);

  // --- The receiver ---

  // Readable when there may be something new. Then drain() has to be called, and receive() until it returns false: now
  // or later.
  int fd() const { return socket_.get(); }
  bool drain();  // false: there was nothing
  // The next whole message, valid until the next call; false: there is none yet. Throws std::bad_alloc.
  bool receive(std::uint32_t& tag, std::span<const std::uint8_t>& data);
  // The sender is gone, or has said that there will be no more than what receive() has.
  bool ended() const { return ended_; }

 private:
  struct Control;
  struct RecordHeader;

  ForkLink(void* memory, std::size_t capacity, UniqueFd sender, UniqueFd receiver);
  std::size_t used() const;
  void put(std::uint64_t position, std::span<const std::uint8_t> bytes);
  void get(std::uint64_t position, std::span<std::uint8_t> bytes) const;
  bool wake();
  void wait(std::uint64_t timeout_ms);
  Status wait_for_room(std::size_t wanted, std::uint64_t timeout_ms);
  Status send_in_pieces(const RecordHeader& header, std::span<const std::uint8_t> data, std::uint64_t timeout_ms);
  void advance(std::size_t bytes);
  bool begin_message();
  bool continue_message();

  Control* control_;
  std::uint8_t* ring_;
  std::size_t capacity_;
  UniqueFd socket_;    // ours
  UniqueFd receiver_;  // until the fork
  std::vector<std::uint8_t> message_;
  std::uint64_t missing_ = 0;  // of the message that is being received
  std::uint32_t tag_ = 0;
  bool in_message_ = false;
  bool ended_ = false;
};

}  // namespace websockets
