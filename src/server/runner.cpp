// SPDX-License-Identifier: MIT
#include "server/runner.h"

#include <utility>

#include "server/context.h"

namespace websockets {

Runner::Runner(Context& context, std::uint64_t timeout_ms)
    : Pollable(-1), context_(context), outer_(context.runner()), timeout_ms_(timeout_ms) {
  context.set_runner(this);
}

Runner::~Runner() {
  if (fd_ >= 0) context_.loop().unwatch_internal(*this);
  context_.set_runner(outer_);
}

Error Runner::open() {
  if (outer_ != nullptr) return {};
  if (!context_.loop().has_own_loop()) {
    if (Error error = context_.loop().open_own_loop(false)) return error;
  }
  if (Error error = signals_.open()) return error;
  fd_ = StopSignals::first_fd();
  return context_.loop().watch_internal(*this) ? Error{} : system_error("signals cannot be watched");
}

bool Runner::serve(int timeout_ms) {
  if (!context_.is_destroyed()) context_.service(timeout_ms);
  return !context_.is_destroyed();
}

void Runner::stop() { context_.shut_down(timeout_ms_, CloseCode::kGoingAway, {}); }

// The descriptor stays readable: from then on another one is watched.
void Runner::on_ready(unsigned) {
  if (fd_ < 0) return;
  context_.loop().unwatch_internal(*this);
  signal_ = StopSignals::last();
  const bool is_first = std::exchange(fd_, -1) == StopSignals::first_fd();
  if (!is_first) {
    was_cut_short_ = true;
    return context_.destroy();
  }
  fd_ = StopSignals::second_fd();
  if (!context_.loop().watch_internal(*this)) fd_ = -1;
  stop();
}

}  // namespace websockets
