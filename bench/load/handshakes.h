// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include "connection.h"
#include "histogram.h"
#include "json.h"
#include "loop.h"
#include "options.h"

// Connections come and go: the opening and the closing handshake, for so many in all, as many at a time as there are
// connections. Returns how many it were: fewer if there is a limit of time.
std::size_t connect_and_close(const Options& options, const Loop& loop, const Target& target, const Frames& frames,
                              std::vector<Connection>& connections, std::size_t count);

// All connect at once: each has begun before one of them sends a request.
class Storm {
 public:
  Storm(const Options& options, const Loop& loop, const Target& target, const Frames& frames,
        std::vector<Connection>& connections)
      : options_(options), loop_(loop), target_(target), frames_(frames), connections_(connections) {}

  // Returns how many got in, within the limit of time.
  std::size_t run();

  void describe(JsonObject& result) const;

 private:
  const Options& options_;
  const Loop& loop_;
  const Target& target_;
  const Frames& frames_;
  std::vector<Connection>& connections_;
  Histogram opened_after_ns_;
  std::size_t opened_ = 0;
  std::size_t failed_ = 0;
};
