// SPDX-License-Identifier: MIT
#include "cluster/fork_service_loop.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <utility>

#include "cluster/delivery_budget.h"
#include "cluster/fork_backplane.h"
#include "server/context.h"

namespace websockets {
namespace {

// Delivers in the child what the parent sends: between the rounds, so that a callback of a broadcast that serves the
// context does not begin the next one.
class Deliverer final : public Pollable {
 public:
  Deliverer(ForkLink& link, Context& context) : Pollable(link.fd()), link_(link), context_(context) {}

  void on_ready(unsigned) override {
    static_cast<void>(link_.drain());
    has_more_ = true;
  }
  bool has_more() const { return has_more_; }

  void deliver() {
    std::uint32_t tag;
    std::span<const std::uint8_t> message;
    DeliveryBudget budget;
    while (has_more_ && !budget.is_spent()) {
      if (context_.is_destroyed()) return;
      has_more_ = link_.receive(tag, message);
      if (!has_more_) break;
      budget.spend(message.size());
      const Loop::Round round(context_.loop());
      ForkBackplane::deliver(tag, message, context_.hub());
    }
    if (!has_more_ && link_.ended()) context_.destroy();
  }

 private:
  bool has_more_ = false;
  ForkLink& link_;
  Context& context_;
};

bool serve(Context& context, ForkLink& link) {
  for (const int number : {SIGINT, SIGTERM}) static_cast<void>(::signal(number, SIG_DFL));
  Deliverer deliverer(link, context);
  if (context.take_over() || !context.loop().watch_internal(deliverer)) return false;
  while (!context.is_destroyed()) {
    context.service(deliverer.has_more() ? 0 : -1);
    deliverer.deliver();
  }
  return true;
}

// Nothing leaves it: what is on the stack belongs to the caller's script, which goes on in the other process.
[[noreturn]] void serve_as_child(Context& context, ForkLink& link, const std::function<void()>& on_forked) {
  int status = 1;
  try {
    on_forked();
    if (serve(context, link)) status = 0;
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "websockets: the forked process ends: %s\n", error.what()));
  }
  static_cast<void>(std::fflush(nullptr));
  ::_exit(status);
}

}  // namespace

Error fork_service_loop(Context& context, const std::function<void()>& on_forked) {
  const ContextOptions& options = context.options();
  Result<std::unique_ptr<ForkBackplane>> backplane =
      ForkBackplane::create(options.max_backpressure_bytes, options.fork_busy_timeout_ms);
  if (!backplane) return backplane.error();
  // What waits in stdio's buffers is to be written once.
  static_cast<void>(std::fflush(nullptr));
  const pid_t child = (*backplane)->fork();
  if (child < 0) return system_error("no new process");
  if (child == 0) serve_as_child(context, (*backplane)->link(), on_forked);
  context.leave_to(std::move(*backplane));
  return {};
}

}  // namespace websockets
