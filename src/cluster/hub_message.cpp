// SPDX-License-Identifier: MIT
#include "cluster/hub_message.h"

#include "server/hub.h"

namespace websockets {
namespace {

constexpr std::uint32_t kPublishText = 0xFFFFFFFE;
constexpr std::uint32_t kPublishBinary = 0xFFFFFFFF;

}  // namespace

HubMessage HubMessage::broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) {
  return {static_cast<std::uint32_t>(subprotocol), {}, data};
}

HubMessage HubMessage::publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data) {
  return {opcode == Opcode::kText ? kPublishText : kPublishBinary, topic, data};
}

bool HubMessage::is_published() const { return tag >= kPublishText; }

void HubMessage::deliver(Hub& hub) const {
  if (is_published()) {
    hub.deliver(topic, tag == kPublishText ? Opcode::kText : Opcode::kBinary, data);
  } else if (tag < hub.subprotocols().size()) {
    hub.deliver(hub.subprotocols()[tag], data);
  }
}

}  // namespace websockets
