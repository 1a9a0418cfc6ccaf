// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "websocket/frame_writer.h"

namespace websockets {

// Keys from the system's random source (RFC 6455 5.3), which is asked for many at once.
class RandomMaskingKeys final : public MaskingKeys {
 public:
  std::uint32_t next() override {
    if (used_ == keys_.size()) refill();
    return keys_[used_++];
  }
  // In a process that was forked: the parent has the same ones.
  void discard() { used_ = keys_.size(); }

 private:
  void refill();

  std::array<std::uint32_t, 256> keys_{};
  std::size_t used_ = keys_.size();
};

}  // namespace websockets
