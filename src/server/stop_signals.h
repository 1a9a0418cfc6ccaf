// SPDX-License-Identifier: MIT
#pragma once

#include "base/result.h"
#include "net/driver.h"

namespace websockets {

// While one exists, SIGINT and SIGTERM end no process: they are noticed here, and end what waits for them by making
// descriptors readable. Several may exist, nested or in several threads: each notices each signal. The last one
// restores what was there before. The third signal has its default effect again, whatever hangs.
class StopSignals {
 public:
  StopSignals() = default;
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  Error open();
  // How many came since the first of those that exist was opened, and the number of the last one.
  static int count();
  static int last();
  // Readable once at least one, or two, signals came.
  static int first_fd();
  static int second_fd();

 private:
  bool is_open_ = false;
};

}  // namespace websockets
