// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "cluster/fork_link.h"
#include "server/backplane.h"

namespace websockets {

class Hub;

// Carries what a hub sends to a forked process, which has all the receivers: in order and whole. Waits for that process
// when it is behind.
class ForkBackplane final : public Backplane {
 public:
  // At least `capacity` bytes can wait. A call waits for the forked process until it has taken nothing for
  // `busy_timeout_ms`.
  static Result<std::unique_ptr<ForkBackplane>> create(std::size_t capacity, std::uint64_t busy_timeout_ms);

  // Once, as fork(2). In the child only link() and deliver() are of use, in the parent only what a Backplane has.
  pid_t fork();

  // --- The parent ---

  DeliveryStatus broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) override;
  DeliveryStatus publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data) override;
  // Waits for the child to end; one that does not, is killed.
  void finish() override;

  // --- The child ---

  // Where the messages are to be received.
  ForkLink& link() { return *link_; }
  // Gives a received message to the hub.
  static void deliver(std::uint32_t tag, std::span<const std::uint8_t> message, Hub& hub);

 private:
  ForkBackplane(std::unique_ptr<ForkLink> link, std::uint64_t busy_timeout_ms)
      : link_(std::move(link)), busy_timeout_ms_(busy_timeout_ms) {}
  DeliveryStatus send(std::uint32_t tag, std::span<const std::uint8_t> message);

  std::unique_ptr<ForkLink> link_;
  std::uint64_t busy_timeout_ms_;
  pid_t child_ = 0;
};

}  // namespace websockets
