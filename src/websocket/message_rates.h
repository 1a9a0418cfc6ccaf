// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace websockets {

struct MessageRate {
  double per_second = 0;  // 0: no limit
  double burst = 0;       // at least 1
};

// How many messages each websocket of a context may send: a token bucket for each that has sent one, where there is a
// limit. It is kept beside the connections, so that they take nothing for it where there is none.
class MessageRates {
 public:
  explicit MessageRates(const MessageRate& rate) : rate_(rate) {}

  bool are_limited() const { return rate_.per_second > 0; }

  // How many messages the sender may send now. Throws std::bad_alloc.
  std::size_t allowed(const void* sender, std::uint64_t now_ms) {
    Bucket& bucket = buckets_.try_emplace(sender, Bucket{rate_.burst, now_ms}).first->second;
    const auto passed_s = static_cast<double>(now_ms - bucket.time_ms) / 1000;
    bucket = {std::min(rate_.burst, bucket.tokens + passed_s * rate_.per_second), now_ms};
    constexpr double kRounding = 1e-6;
    return static_cast<std::size_t>(bucket.tokens + kRounding);
  }
  // So many, which were allowed, have come. Does nothing for one that was removed.
  void spend(const void* sender, std::size_t count) {
    const auto bucket = buckets_.find(sender);
    if (bucket != buckets_.end()) bucket->second.tokens -= static_cast<double>(count);
  }
  void remove(const void* sender) { buckets_.erase(sender); }

 private:
  struct Bucket {
    double tokens;
    std::uint64_t time_ms;  // of the last refill
  };

  MessageRate rate_;
  std::unordered_map<const void*, Bucket> buckets_;
};

}  // namespace websockets
