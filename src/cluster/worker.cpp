// SPDX-License-Identifier: MIT
#include "cluster/worker.h"

#include <csignal>
#include <utility>

#include "base/clock.h"

namespace websockets {
namespace {

constexpr std::uint64_t kPublishMs = 1'000;

}  // namespace

Worker::Worker(Context& context, WorkerStatus& status, WorkerRings& rings, WorkerOwner& owner, UniqueFd control,
               const Place& place)
    : context_(context),
      status_(status),
      owner_(owner),
      place_(place),
      control_(std::move(control), context.loop(), *this),
      signals_(context.loop(), *this),
      backplane_(rings, place.slot, context.hub(), context.loop(), *this) {}

Worker::~Worker() {
  context_.loop().cancel(heartbeat_);
  context_.set_balance(nullptr);
}

Error Worker::begin(ProcessSignals::Blocked& blocked) {
  status_.begin(place_.slot, context_.report());
  context_.listeners().share();
  if (Error error = context_.take_over()) return error;
  if (Error error = signals_.open({SIGTERM}, {SIGINT, SIGHUP, SIGUSR2})) return error;
  blocked.end();
  if (!control_.open()) return system_error("the supervisor cannot be heard");
  if (!backplane_.open()) return system_error("the other workers cannot be heard");
  context_.set_balance(this);
  beat();
  if (Error error = owner_.on_worker(*this)) return error;
  if (context_.is_destroyed()) return {};
  return context_.listeners().serve(place_.slot, status_.count());
}

int Worker::run(ProcessSignals::Blocked& blocked) {
  if (!ProcessSignals::end_with_parent(place_.supervisor)) return 1;
  if (Error error = begin(blocked)) {
    control_.send({ControlMessage::Kind::kFailed, static_cast<std::uint32_t>(error.code), 0, error.text});
    return 1;
  }
  // Its owner may have ended it already.
  accepts_ = !context_.is_destroyed() && !context_.is_shutting_down();
  if (accepts_) {
    status_.set_accepting(place_.slot, true);
    control_.send({ControlMessage::Kind::kReady});
  }
  return owner_.serve(*this);
}

int Worker::serve() {
  while (!context_.is_destroyed()) {
    context_.service(wait_ms(-1));
    deliver();
  }
  return 0;
}

void Worker::deliver() {
  if (!context_.is_destroyed()) backplane_.deliver();
}

void Worker::ask_to_stop() { control_.send({ControlMessage::Kind::kStopAll}); }

void Worker::beat() {
  if (context_.is_destroyed()) return;
  status_.beat(place_.slot);
  const std::uint64_t now_ms = monotonic_ms();
  if (now_ms >= published_ms_ + kPublishMs) {
    published_ms_ = now_ms;
    publish_status();
  }
  // The owner may have shut the context down.
  if (context_.is_shutting_down()) leave_listeners();
  context_.loop().schedule(heartbeat_, place_.beat_ms);
}

// Another worker is to serve them.
void Worker::leave_listeners() {
  if (!std::exchange(accepts_, false)) return;
  status_.set_accepting(place_.slot, false);
  control_.send({ControlMessage::Kind::kEnding});
}

void Worker::reload_certificates() {
  if (Error error = context_.reload_certificates()) {
    control_.send({ControlMessage::Kind::kReloadFailed, static_cast<std::uint32_t>(error.code), 0, error.text});
  }
}

void Worker::on_message(ControlChannel&, const ControlMessage& message) {
  using Kind = ControlMessage::Kind;
  switch (message.kind) {
    case Kind::kStop:
      return context_.shut_down(message.time_ms, static_cast<CloseCode>(message.number), {});
    case Kind::kDrain:
      return context_.drain(message.time_ms, place_.shutdown_ms, static_cast<CloseCode>(message.number));
    case Kind::kReload:
      return reload_certificates();
    case Kind::kServe:
      static_cast<void>(context_.listeners().serve(message.number, status_.count()));
      return;
    case Kind::kLeave:
      return context_.listeners().leave(message.number, status_.count());
    case Kind::kReady:
    case Kind::kEnding:
    case Kind::kFailed:
    case Kind::kReloadFailed:
    case Kind::kStopAll:
      return;
  }
}

// The supervisor is gone.
void Worker::on_end(ControlChannel&) { context_.destroy(); }

void Worker::on_signal(int, int) {
  context_.shut_down(place_.shutdown_ms, CloseCode::kGoingAway, {});
  leave_listeners();
}

bool Worker::is_above_mean(std::size_t connections) {
  status_.set_connections(place_.slot, connections);
  return status_.is_above_mean(place_.slot);
}

}  // namespace websockets
