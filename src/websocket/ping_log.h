// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace websockets {

// The Ping frames that wait for their answer, with the times at which they were sent.
class PingLog {
 public:
  // Of a peer that does not answer the oldest are forgotten.
  static constexpr std::size_t kMostPings = 16;

  // Throws std::bad_alloc.
  void add(std::string_view data, std::uint64_t time_us) {
    pings_.push_back({std::string(data), time_us});
    if (pings_.size() > kMostPings) pings_.erase(pings_.begin());
  }

  // How long the Ping was under way that this Pong answers; nullopt: there is none. A Pong has the data of its Ping,
  // and a peer may leave out the answers to those before it (RFC 6455 5.5.3), for which none will come any more.
  std::optional<std::uint64_t> take(std::string_view data, std::uint64_t time_us) {
    const auto ping = std::find_if(pings_.begin(), pings_.end(), [&](const Ping& one) { return one.data == data; });
    if (ping == pings_.end()) return std::nullopt;
    const std::uint64_t passed_us = time_us - ping->time_us;
    pings_.erase(pings_.begin(), ping + 1);
    return passed_us;
  }

 private:
  struct Ping {
    std::string data;
    std::uint64_t time_us;
  };
  std::vector<Ping> pings_;  // the oldest first
};

}  // namespace websockets
