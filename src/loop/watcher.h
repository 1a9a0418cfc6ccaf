// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "loop/descriptor_observer.h"
#include "net/driver.h"
#include "net/wake_timer.h"

namespace websockets {

// Serves what is ready: calls on_ready() of each, or does the like.
class ReadyHandler {
 public:
  static constexpr std::size_t kMostReady = 16;
  virtual void on_ready(std::span<const Ready> group) = 0;

 protected:
  ~ReadyHandler() = default;
};

// Who watches the descriptors of a context:
// - its own loop, whose driver may itself be one descriptor for somebody else's loop (pollfd); and/or
// - an outer loop, to which each descriptor is announced. It watches for reading only: what waits to be written, and
//   the timers, make one internal descriptor readable; or
// - an outer loop, to which only the own loop is announced, as one descriptor that stands for all.
class Watcher {
 public:
  // `observer` null: nothing is announced. `driver` as for make_driver(), for the own loop.
  Watcher(ReadyHandler& handler, DescriptorObserver* observer, bool announces_one, std::string driver)
      : handler_(handler), observer_(observer), announces_one_(announces_one), driver_name_(std::move(driver)) {}

  // Makes what is needed from the beginning, and announces the library's own descriptor. Error: why not.
  Error open();
  // Announces the end of the library's own descriptor. Nothing is watched any more.
  void close();
  // Closes the library's own descriptors, after close(), when nothing of it is on the stack any more.
  void release();

  // In a child after a fork, and in its parent when the child has taken over: gives up what both share, without a word
  // to the observer, who is forgotten.
  void abandon();

  // Changes what is watched for. False with errno set: the system is short of memory or of watches. Calls the observer
  // last.
  bool change(Pollable& pollable, unsigned from, unsigned to);

  // Waits in the own loop, and has everything served that is ready, in groups. False: nothing was, and no signal came.
  bool serve(int timeout_ms);
  // The same for what makes the internal descriptor readable. Never waits.
  void serve_internal();
  // Whether an outer loop is told of each descriptor.
  bool announces_each() const { return internal_ != nullptr; }
  int internal_fd() const { return internal_ == nullptr ? -1 : internal_->fd(); }

  // Whether the own loop is there; when announcing, it is made when it is first asked for. After open_own_loop(), every
  // watched descriptor has to be given to watch_in_own_loop().
  bool has_own_loop() const { return loop_ != nullptr; }
  // `pollable_driver`: it has to have a descriptor of its own.
  Error open_own_loop(bool pollable_driver);
  void close_own_loop();
  bool watch_in_own_loop(Pollable& pollable, unsigned interest);
  // Watches a descriptor of the library's own for reading, which no outer loop is told of: by what makes the internal
  // descriptor readable, where each is announced, and in the own loop otherwise.
  bool watch_internal(Pollable& pollable);
  void unwatch_internal(Pollable& pollable);
  // The own loop as a descriptor; -1: it is not one.
  int own_loop_fd() const { return loop_ == nullptr ? -1 : loop_->fd(); }

  // Lets the context wake when another loop waits for it. Does nothing while its own loop alone does.
  bool is_woken() const { return wake_timer_.fd() >= 0; }
  void wake_at(std::uint64_t time_ms) { wake_timer_.wake_at(time_ms); }

 private:
  // A descriptor of the library's own.
  class Internal final : public Pollable {
   public:
    Internal(int fd, void (*serve)(Watcher&), Watcher& watcher) : Pollable(fd), serve_(serve), watcher_(watcher) {}
    void on_ready(unsigned) override { serve_(watcher_); }

   private:
    void (*serve_)(Watcher&);
    Watcher& watcher_;
  };

  Error open_wake_timer(Driver& driver);
  // A callback may exchange the driver, or close it.
  bool dispatch(const std::unique_ptr<Driver>& driver, int timeout_ms);
  void note_wait(bool succeeded, int timeout_ms);
  Error open_internal();

  ReadyHandler& handler_;
  DescriptorObserver* observer_;
  bool announces_one_;
  std::string driver_name_;
  std::unique_ptr<Driver> loop_;      // watches everything for reading; unless each is announced, for writing, too
  std::unique_ptr<Driver> internal_;  // when each is announced: watches for writing
  WakeTimer wake_timer_;
  std::unique_ptr<Internal> wake_pollable_;
  std::unique_ptr<Internal> internal_pollable_;
  std::size_t watched_ = 0;     // how many are watched, without the library's own
  unsigned interruptions_ = 0;  // of waits, one after the other
  int announced_fd_ = -1;
  bool closed_ = false;
};

}  // namespace websockets
