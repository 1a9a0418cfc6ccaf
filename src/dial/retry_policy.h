// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

namespace websockets {

// Times are seconds.
struct RetryOptions {
  double delay = 1;       // the most that the first attempt waits
  double factor = 2;      // by which that grows with each further one; at least 1
  double max_delay = 60;  // up to this
  double stable = 30;     // a websocket that was open so long makes the delay begin anew
  unsigned attempts = 0;  // in a row, none of them stable; 0: without end
};

// When a client connects again. Knows no clock and no source of random numbers: both are arguments.
class RetryPolicy {
 public:
  explicit RetryPolicy(const RetryOptions& options) : options_(options), most_(first_delay()) {}

  // After an end that is not final, of a websocket that was open for `open_for`, 0 when it never was. The delay is
  // evenly distributed from 0 to the most that the attempt may wait ("full jitter"), so that the clients of a server
  // that comes back do not all come at once; `random` is from 0 to 1. What the server asked for by Retry-After comes in
  // addition. Nothing: there were as many attempts as there may be.
  std::optional<double> next_delay(double open_for, std::optional<double> retry_after, double random);

 private:
  double first_delay() const;

  RetryOptions options_;
  double most_;            // of the next delay
  unsigned attempts_ = 0;  // since the last stable opening
};

}  // namespace websockets
