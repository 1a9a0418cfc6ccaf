// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "cluster/handover_socket.h"
#include "cluster/program_start.h"
#include "loop/disposable.h"
#include "net/driver.h"
#include "net/timer_wheel.h"

namespace websockets {

class Listeners;
class Loop;

// What became of a new version; the last call of each start.
class NewVersionOwner {
 public:
  // It serves: the process of this number.
  virtual void on_new_version_ready(pid_t pid) = 0;
  // It has ended before that, or will never serve.
  virtual void on_new_version_failed(const std::string& why) = 0;

 protected:
  ~NewVersionOwner() = default;
};

// Starts a program that is to take the place of this one, gives it the listeners, and tells what it says: the other
// side is ListenerHandover.
class NewVersion final {
 public:
  explicit NewVersion(NewVersionOwner& owner) : owner_(owner) {}
  ~NewVersion();
  NewVersion(const NewVersion&) = delete;
  NewVersion& operator=(const NewVersion&) = delete;

  // The owner is told in a round of the loop, which outlives this. Error: it cannot be started, as when one is under
  // way, or this process is the first one of its system: a container ends with that.
  Error start(const ProgramStart& program, const Listeners& listeners, Loop& loop);
  // This process is about to end, and none is to take its place: one that is starting is told to end.
  void cancel();
  bool is_starting() const { return talk_ != nullptr; }
  // In a child after a fork, whose loop is not that one: it has nothing to do with it. Throws nothing.
  void leave();

 private:
  // With the program, until it is ready or has ended.
  class Talk final : public Disposable, public Pollable, public Timer {
   public:
    Talk(NewVersion& version, HandoverSocket socket, pid_t pid)
        : Pollable(socket.fd()), version_(version), socket_(std::move(socket)), pid_(pid) {}

    void on_ready(unsigned) override { version_.receive(); }
    void on_timeout() override { version_.wait_for_end(); }
    HandoverSocket& socket() { return socket_; }
    pid_t pid() const { return pid_; }

    // Once it will not be ready any more:
    std::string why;  // as it has said itself
    int waits = 0;    // for its end

   private:
    NewVersion& version_;
    HandoverSocket socket_;
    pid_t pid_;
  };

  void receive();
  void give_up(std::string why);
  void wait_for_end();
  void end();

  NewVersionOwner& owner_;
  Loop* loop_ = nullptr;
  std::unique_ptr<Talk> talk_;  // null: none is under way
};

}  // namespace websockets
