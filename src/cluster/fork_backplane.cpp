// SPDX-License-Identifier: MIT
#include "cluster/fork_backplane.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/interrupted.h"
#include "cluster/hub_message.h"

namespace websockets {
namespace {

// A child that is still in a callback after so long is not waited for.
constexpr int kChildEndMs = 5'000;

}  // namespace

Result<std::unique_ptr<ForkBackplane>> ForkBackplane::create(std::size_t capacity, std::uint64_t busy_timeout_ms) {
  Result<std::unique_ptr<ForkLink>> link = ForkLink::create(capacity);
  if (!link) return link.error();
  return std::unique_ptr<ForkBackplane>(new ForkBackplane(std::move(*link), busy_timeout_ms));
}

pid_t ForkBackplane::fork() {
  child_ = ::fork();
  if (child_ == 0) link_->become_receiver();
  if (child_ > 0) link_->become_sender();
  return child_;
}

DeliveryStatus ForkBackplane::send(std::uint32_t tag, std::span<const std::uint8_t> message) {
  switch (link_->send(tag, message, busy_timeout_ms_)) {
    case ForkLink::Status::kSent:
      return DeliveryStatus::kForwarded;
    case ForkLink::Status::kBusy:
      return DeliveryStatus::kBusy;
    case ForkLink::Status::kClosed:
      break;
  }
  return DeliveryStatus::kClosed;
}

DeliveryStatus ForkBackplane::broadcast(std::size_t subprotocol, std::span<const std::uint8_t> data) {
  return send(HubMessage::broadcast(subprotocol, data).tag, data);
}

// The size of the topic's name, and the name, come before the data.
DeliveryStatus ForkBackplane::publish(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data) {
  const std::uint64_t topic_bytes = topic.size();
  std::vector<std::uint8_t> message(sizeof topic_bytes + topic.size() + data.size());
  std::memcpy(message.data(), &topic_bytes, sizeof topic_bytes);
  std::memcpy(message.data() + sizeof topic_bytes, topic.data(), topic.size());
  std::copy(data.begin(), data.end(), message.end() - static_cast<std::ptrdiff_t>(data.size()));
  return send(HubMessage::publish(topic, opcode, data).tag, message);
}

void ForkBackplane::deliver(std::uint32_t tag, std::span<const std::uint8_t> message, Hub& hub) {
  HubMessage received{tag, {}, message};
  if (received.is_published()) {
    std::uint64_t topic_bytes;
    std::memcpy(&topic_bytes, message.data(), sizeof topic_bytes);
    received.data = message.subspan(sizeof topic_bytes);
    received.topic = as_text(received.data.first(static_cast<std::size_t>(topic_bytes)));
    received.data = received.data.subspan(received.topic.size());
  }
  received.deliver(hub);
}

void ForkBackplane::finish() {
  if (!link_->finish(kChildEndMs) && ::waitpid(child_, nullptr, WNOHANG) == 0) ::kill(child_, SIGKILL);
  // It has closed the link, or was killed: it is as good as gone.
  retry_interrupted([&] { return ::waitpid(child_, nullptr, 0); });
}

}  // namespace websockets
