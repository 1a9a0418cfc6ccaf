// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace websockets {

// What is known of a server of a cluster.
struct ClusterServerStats {
  std::string server;  // its URL, without user and password
  bool is_up = false;
  std::size_t queued_bytes = 0;
  std::uint64_t commands = 0;
  std::uint64_t messages = 0;
  std::uint64_t dropped = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t gaps = 0;
  double probe_seconds = 0;
};

// As metrics_text(), to follow it; the servers are told from each other by their numbers, from 1.
std::string cluster_metrics_text(std::span<const ClusterServerStats> servers);

}  // namespace websockets
