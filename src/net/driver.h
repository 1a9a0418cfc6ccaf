// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "net/io_result.h"

namespace websockets {

// What a descriptor can be watched for, and what happened to it. kHangup (the peer is gone, or an error is
// pending) is reported even when not asked for.
enum : unsigned { kReadable = 1, kWritable = 2, kHangup = 4 };

// Something with a descriptor that a driver watches. Must outlive the round in which it was removed:
// a report that was collected before the removal still points to it.
class Pollable {
 public:
  virtual void on_ready(unsigned events) = 0;
  // When it is readable: whether it takes what was received for it, by on_received(), in place of on_ready().
  virtual bool takes_received() const { return false; }
  virtual void on_received(IoResult /*result*/, std::span<std::uint8_t> /*input*/) {}
  int fd() const { return fd_; }
  // What its loop watches it for.
  unsigned interest() const { return interest_; }
  void set_interest(unsigned interest) { interest_ = interest & (kReadable | kWritable); }
  // Where its driver finds it.
  std::uint32_t driver_slot() const { return driver_slot_; }
  void set_driver_slot(std::size_t slot) { driver_slot_ = static_cast<std::uint32_t>(slot) & 0x1FFFFFFFU; }
  // Whether other processes watch the same, of which one is enough to serve it: where the system can, not all of them
  // are woken. It is watched for reading only, or not at all.
  bool is_exclusive() const { return is_exclusive_ != 0; }
  void set_exclusive(bool is_exclusive) { is_exclusive_ = is_exclusive ? 1U : 0U; }

 protected:
  explicit Pollable(int fd) : fd_(fd) {}
  ~Pollable() = default;
  int fd_;

 private:
  std::uint32_t driver_slot_ : 29 = 0;
  std::uint32_t is_exclusive_ : 1 = 0;
  std::uint32_t interest_ : 2 = 0;
};

struct Ready {
  Pollable* pollable;
  unsigned events;
};

// Waits for descriptors. Level-triggered. Knows nothing of what the descriptors are.
class Driver {
 public:
  virtual ~Driver() = default;

  // False with errno set: the system is short of memory or of watches.
  virtual bool add(Pollable& pollable, unsigned interest) = 0;
  virtual void modify(Pollable& pollable, unsigned interest) = 0;
  // Before the descriptor is closed. Does nothing when adding it had failed.
  virtual void remove(Pollable& pollable) = 0;

  // Waits until something is ready, at most `timeout_ms` (0: does not wait; -1: no limit), and fills `ready` from the
  // front. Returns how many; -1, with errno set: interrupted by a signal (EINTR), or the wait was refused.
  virtual int wait(std::span<Ready> ready, int timeout_ms) = 0;

  // A descriptor that is readable while something is ready; -1: this kind of driver has none.
  virtual int fd() const { return -1; }
};

// The best driver of this system; `name` ("epoll", "poll") asks for a certain one, "" for the best.
// nullptr, with errno set, when it cannot be had.
std::unique_ptr<Driver> make_driver(std::string_view name);

}  // namespace websockets
