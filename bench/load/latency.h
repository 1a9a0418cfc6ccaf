// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "connection.h"
#include "histogram.h"
#include "json.h"
#include "loop.h"
#include "options.h"

// Sends at a fixed rate, whatever comes back, on one connection after the other. The latency of a message counts from
// the moment when it was to be sent: a server that stalls is late for every message that was due in the meantime, and
// so is this client if it cannot keep up.
class Latency {
 public:
  // Each connection of `flood` has another message echoed all the time.
  Latency(const Options& options, const Loop& loop, std::vector<Connection>& connections,
          std::vector<Connection>& flood);

  // Returns how many messages came back.
  std::size_t run();

  void describe(JsonObject& result) const;

 private:
  std::int64_t due_ns(std::size_t message) const;
  std::int64_t wait_ns(std::int64_t end_ns) const;
  void send_due();
  void serve(Connection& connection, std::uint32_t events);
  void receive(Connection& connection);

  const Options& options_;
  const Loop& loop_;
  std::vector<Connection>& connections_;
  std::vector<Connection>& flood_;
  const std::size_t messages_;
  std::vector<std::size_t> answers_;  // of each connection
  Histogram histogram_;
  std::int64_t begin_ns_ = 0;
  std::int64_t last_ns_ = 0;  // when something came last
  std::size_t sent_ = 0;
  std::size_t flood_messages_ = 0;
};
