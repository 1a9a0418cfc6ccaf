// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "json.h"
#include "loop.h"
#include "options.h"
#include "soak_client.h"

// Connections that come and go in all ways, one life after the other, until the time is over; then those that are
// there come to their end.
class Soak {
 public:
  Soak(const Options& options, const Loop& loop, const Target& target);

  // Returns how many lives there were.
  std::size_t run();

  void describe(JsonObject& result) const;

 private:
  bool begin(SoakClient& client);

  const Options& options_;
  const Loop& loop_;
  const Target& target_;
  const std::vector<Traffic> traffic_;
  std::vector<std::string> requests_;  // of each life
  std::vector<SoakClient> clients_;
  std::mt19937 random_{1};
  std::int64_t end_ns_ = 0;
  std::size_t lives_ = 0;
  Counts counts_;
};
