// SPDX-License-Identifier: MIT
#include "dial/retry_policy.h"

#include <algorithm>

namespace websockets {

double RetryPolicy::first_delay() const { return std::min(options_.delay, options_.max_delay); }

std::optional<double> RetryPolicy::next_delay(double open_for, std::optional<double> retry_after, double random) {
  // A websocket that never was open is not stable, even where 0 seconds are enough.
  if (open_for > 0 && open_for >= options_.stable) {
    most_ = first_delay();
    attempts_ = 0;
  }
  if (options_.attempts > 0 && attempts_ >= options_.attempts) return {};
  ++attempts_;
  const double delay = most_ * std::clamp(random, 0.0, 1.0);
  most_ = std::min(most_ * std::max(options_.factor, 1.0), options_.max_delay);
  return delay + std::max(retry_after.value_or(0), 0.0);
}

}  // namespace websockets
