// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "websocket/frame.h"

namespace websockets {

class Hub;

// What a hub sends, taken apart for the hubs of other processes. Owns nothing.
struct HubMessage {
  static HubMessage broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data);
  static HubMessage publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data);

  // Whether there is a topic, which may be empty.
  bool is_published() const;
  // To the receivers of this process. Throws std::bad_alloc.
  void deliver(Hub& hub) const;

  std::uint32_t tag = 0;  // the place of the subprotocol, or that it is published, and how
  std::string_view topic;
  std::span<const std::uint8_t> data;
};

}  // namespace websockets
