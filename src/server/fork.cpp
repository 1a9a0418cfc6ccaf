// SPDX-License-Identifier: MIT
// The part of a context that lets a forked process serve it.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/interrupted.h"
#include "server/context.h"

namespace websockets {
namespace {

// A child that is still in a callback after so long is not waited for.
constexpr int kChildEndMs = 5'000;

// Then the clients have their turn.
constexpr int kBroadcastsPerTurn = 64;
constexpr std::size_t kBroadcastBytesPerTurn = 1U << 20U;

// What a message to the child is: a broadcast to the protocol of that number, or else one of these; then the size of
// the topic's name and the name come before the data.
constexpr std::uint32_t kPublishText = 0xFFFFFFFE;
constexpr std::uint32_t kPublishBinary = 0xFFFFFFFF;

// Sends in the child what the parent sends: between the rounds, so that a callback of a broadcast that serves the
// context does not begin the next one.
class LinkReceiver final : public Pollable {
 public:
  LinkReceiver(ForkLink& link, Context& context) : Pollable(link.fd()), link_(link), context_(context) {}

  void on_ready(unsigned) override {
    static_cast<void>(link_.drain());
    has_more_ = true;
  }
  bool has_more() const { return has_more_; }

  void deliver() {
    std::uint32_t tag;
    std::span<const std::uint8_t> data;
    std::size_t bytes = 0;
    for (int i = 0; has_more_ && i < kBroadcastsPerTurn && bytes < kBroadcastBytesPerTurn; ++i) {
      if (context_.is_destroyed()) return;
      has_more_ = link_.receive(tag, data);
      if (!has_more_) break;
      bytes += data.size();
      take(tag, data);
    }
    if (!has_more_ && link_.ended()) context_.destroy();
  }

 private:
  void take(std::uint32_t tag, std::span<const std::uint8_t> data) {
    const Context::Round round(context_);
    Hub& hub = context_.hub();
    if (tag < hub.subprotocols().size()) return hub.deliver(hub.subprotocols()[tag], data);
    std::uint64_t topic_bytes;
    std::memcpy(&topic_bytes, data.data(), sizeof topic_bytes);
    data = data.subspan(sizeof topic_bytes);
    const auto topic = static_cast<std::size_t>(topic_bytes);
    hub.deliver(as_text(data.first(topic)), tag == kPublishText ? Opcode::kText : Opcode::kBinary, data.subspan(topic));
  }

  bool has_more_ = false;
  ForkLink& link_;
  Context& context_;
};

}  // namespace

bool Context::fork_service_loop() {
  Result<std::unique_ptr<ForkLink>> link = ForkLink::create(options_.max_backpressure_bytes);
  if (!link) {
    errno = link.error().code;
    return false;
  }
  // What waits in stdio's buffers is to be written once.
  static_cast<void>(std::fflush(nullptr));
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) {
    link_ = std::move(*link);
    serve_as_child();
  }
  const Round round(*this);
  child_ = child;
  link_ = std::move(*link);
  link_->become_sender();
  abandon();
  watcher_.close();
  watcher_.abandon();
  return true;
}

// Nothing leaves it: what is on the stack belongs to the caller's script, which goes on in the other process.
void Context::serve_as_child() {
  int status = 1;
  try {
    handler_.on_forked();
    if (serve_broadcasts_and_clients()) status = 0;
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "websockets: the forked process ends: %s\n", error.what()));
  }
  static_cast<void>(std::fflush(nullptr));
  ::_exit(status);
}

bool Context::serve_broadcasts_and_clients() {
  for (const int number : {SIGINT, SIGTERM}) static_cast<void>(::signal(number, SIG_DFL));
  owner_ = ::getpid();
  depth_ = 0;  // what is on the stack will never return
  const std::unique_ptr<ForkLink> link = std::move(link_);
  link->become_receiver();
  // The parent's drivers are shared with it: what is changed there is changed for both.
  watcher_.abandon();
  LinkReceiver receiver(*link, *this);
  if (open_own_loop(false) || !watch_internal(receiver)) return false;
  while (!destroyed_) {
    service(receiver.has_more() ? 0 : -1);
    receiver.deliver();
  }
  return true;
}

ForkLink::Status Context::broadcast_to_child(const Subprotocol& protocol, std::span<const std::uint8_t> data) {
  return link_->send(static_cast<std::uint32_t>(hub_.index_of(protocol)), data, options_.fork_busy_timeout_ms);
}

ForkLink::Status Context::publish_to_child(std::string_view topic, Opcode opcode, std::span<const std::uint8_t> data) {
  const std::uint64_t topic_bytes = topic.size();
  std::vector<std::uint8_t> message(sizeof topic_bytes + topic.size() + data.size());
  std::memcpy(message.data(), &topic_bytes, sizeof topic_bytes);
  std::memcpy(message.data() + sizeof topic_bytes, topic.data(), topic.size());
  std::copy(data.begin(), data.end(), message.end() - static_cast<std::ptrdiff_t>(data.size()));
  return link_->send(opcode == Opcode::kText ? kPublishText : kPublishBinary, message, options_.fork_busy_timeout_ms);
}

void Context::end_child() {
  if (!link_->finish(kChildEndMs) && ::waitpid(child_, nullptr, WNOHANG) == 0) ::kill(child_, SIGKILL);
  // It has closed the link, or was killed: it is as good as gone.
  retry_interrupted([&] { return ::waitpid(child_, nullptr, 0); });
  link_.reset();
}

}  // namespace websockets
