// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <vector>

#include "base/result.h"
#include "net/driver.h"
#include "net/pipe.h"

namespace websockets {

class Loop;

class ProcessSignalsHandler {
 public:
  // It has come since the last time, `count` times at least.
  virtual void on_signal(int number, int count) = 0;

 protected:
  ~ProcessSignalsHandler() = default;
};

// While it is open, the signals that it was opened with have no effect of their own, but are told in a round of a loop.
// The third of SIGINT and SIGTERM has its default effect again, whatever hangs. One at a time in a process; what was
// there before is restored.
class ProcessSignals final : public Pollable {
 public:
  ProcessSignals(Loop& loop, ProcessSignalsHandler& handler) : Pollable(-1), loop_(loop), handler_(handler) {}
  ~ProcessSignals() { close(); }
  ProcessSignals(const ProcessSignals&) = delete;
  ProcessSignals& operator=(const ProcessSignals&) = delete;

  // Those that are `ignored` are not told.
  Error open(std::vector<int> told, const std::vector<int>& ignored = {});
  void close();
  // In a forked process, whose loop is not this one. Within Blocked.
  void abandon();

  // A process that hangs ends a second after its parent, which it is from now on told of by SIGTERM, where the system
  // has that. False: it is gone already.
  static bool end_with_parent(pid_t parent);

  // While it exists, all signals wait: none comes to a handler of another process, between a fork and the handlers that
  // the new process gets.
  class Blocked {
   public:
    Blocked();
    ~Blocked() { end(); }
    Blocked(const Blocked&) = delete;
    Blocked& operator=(const Blocked&) = delete;
    void end();

   private:
    sigset_t before_;
    bool has_ended_ = false;
  };

  void on_ready(unsigned events) override;

 private:
  void restore();

  Loop& loop_;
  ProcessSignalsHandler& handler_;
  Pipe pipe_;
  std::vector<int> told_;
  struct Before {
    int number;
    struct sigaction action;
  };
  std::vector<Before> before_;
};

}  // namespace websockets
