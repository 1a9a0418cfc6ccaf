// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/result.h"
#include "net/driver.h"
#include "server/stop_signals.h"

namespace websockets {

class Context;

// Serves a context until it is stopped, or until SIGINT or SIGTERM come; then shuts it down. A second signal cuts that
// short. Runners may be nested, of one context or of several. Must not outlive the context.
class Runner final : public Pollable {
 public:
  // `timeout_ms` is for the shutdown.
  Runner(Context& context, std::uint64_t timeout_ms);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  Error open();
  // Serves once, waiting at most so long (-1: without end): to be called again and again, in a round each. False: the
  // context is destroyed, and there is no more to do.
  bool serve(int timeout_ms = -1);
  // Shuts the context down; serve() has to be called still.
  void stop();

  // Why it ended: the number of the signal, or 0.
  int signal() const { return outer_ == nullptr ? signal_ : outer_->signal(); }
  // A further signal did not let the shutdown come to its end.
  bool was_cut_short() const { return outer_ == nullptr ? was_cut_short_ : outer_->was_cut_short(); }

  void on_ready(unsigned events) override;

 private:
  Context& context_;
  Runner* outer_;  // of the same context: notices the signals for both
  std::uint64_t timeout_ms_;
  StopSignals signals_;
  int signal_ = 0;
  bool was_cut_short_ = false;
};

}  // namespace websockets
