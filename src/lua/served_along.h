// SPDX-License-Identifier: MIT
#pragma once

#include "net/driver.h"

namespace websockets::lua {

class LuaContext;
struct SharedState;

// While a context runs, its loop serves the default context along: it watches the one descriptor that stands for all of
// that context's. Where the system has none, the loop wakes up to look.
class ServedAlong final : public Pollable {
 public:
  explicit ServedAlong(LuaContext& host);
  ~ServedAlong();
  ServedAlong(const ServedAlong&) = delete;
  ServedAlong& operator=(const ServedAlong&) = delete;

  // Before the host waits. Returns for how long it may do so, in milliseconds; -1: without end.
  int prepare();
  // After that, within an Entry of the host.
  void finish() {
    if (polls_) serve();
  }
  // There is nothing of the default context to wait for.
  bool is_idle() const;
  bool is_interrupted() const;
  // The default context ends.
  void detach();
  ServedAlong* outer() const { return outer_; }

  void on_ready(unsigned events) override;

 private:
  LuaContext* other() const;
  void serve();

  LuaContext& host_;
  SharedState& shared_;
  ServedAlong* outer_;
  bool is_needed_;  // an outer one of the same host does it already
  bool polls_ = false;
};

}  // namespace websockets::lua
