// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace websockets {

// How much of what other processes send is delivered before the clients are served again: so many messages, or so many
// bytes, whatever comes first.
class DeliveryBudget {
 public:
  static constexpr int kMessages = 64;
  static constexpr std::size_t kBytes = 1U << 20U;

  bool is_spent() const { return messages_ >= kMessages || bytes_ >= kBytes; }
  // One with many receivers counts as more than one.
  void spend(std::size_t message_bytes, std::size_t receivers = 1) {
    messages_ += 1 + static_cast<int>(receivers / kReceivers);
    bytes_ += message_bytes;
  }

 private:
  static constexpr std::size_t kReceivers = 64;

  int messages_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace websockets
