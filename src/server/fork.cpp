// SPDX-License-Identifier: MIT
// The part of a context that lets a forked process serve it.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>

#include "server/context.h"

namespace websockets {
namespace {

// A child that is still in a callback after so long is not waited for.
constexpr int kChildEndMs = 5'000;

// Broadcasts in the child what the parent sends.
class Receiver final : public Pollable {
 public:
  Receiver(ForkLink& link, Context& context, std::vector<Protocol>& protocols)
      : Pollable(link.fd()), link_(link), context_(context), protocols_(protocols) {}

  void on_ready(unsigned) override {
    std::uint32_t protocol;
    std::span<const std::uint8_t> data;
    while (!context_.is_destroyed() && link_.receive(protocol, data)) context_.broadcast(protocols_[protocol], data);
    if (link_.ended()) context_.destroy();
  }

 private:
  ForkLink& link_;
  Context& context_;
  std::vector<Protocol>& protocols_;
};

}  // namespace

bool Context::fork_service_loop() {
  Result<std::unique_ptr<ForkLink>> link = ForkLink::create(options_.max_backpressure_bytes);
  if (!link) {
    errno = link.error().code;
    return false;
  }
  // What waits in stdio's buffers is to be written once.
  std::fflush(nullptr);
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

void Context::serve_as_child() {
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  owner_ = ::getpid();
  depth_ = 0;  // what is on the stack will never return
  const std::unique_ptr<ForkLink> link = std::move(link_);
  link->become_receiver();
  // The parent's drivers are shared with it: what is changed there is changed for both.
  watcher_.abandon();
  Receiver receiver(*link, *this, protocols_);
  if (!open_own_loop(false).text.empty() || !watcher_.change(receiver, 0, kReadable)) ::_exit(1);
  while (!destroyed_) service(-1);
  std::fflush(nullptr);
  ::_exit(0);
}

ForkLink::Status Context::broadcast_to_child(const Protocol& protocol, std::span<const std::uint8_t> data) {
  return link_->send(static_cast<std::uint32_t>(index_of(protocol)), data, options_.fork_busy_timeout_ms);
}

void Context::end_child() {
  if (!link_->finish(kChildEndMs) && ::waitpid(child_, nullptr, WNOHANG) == 0) ::kill(child_, SIGKILL);
  // It has closed the link, or was killed: it is as good as gone.
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace websockets
