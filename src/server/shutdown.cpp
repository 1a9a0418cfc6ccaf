// SPDX-License-Identifier: MIT
// The part of a context that ends gracefully.
#include <utility>

#include "server/acceptor.h"
#include "server/context.h"
#include "server/http_exchange.h"

namespace websockets {

void Context::shut_down(std::uint64_t timeout_ms, CloseCode code, std::string_view reason) {
  if (destroyed_) return;
  const Round round(*this);
  schedule(shutdown_timer_, timeout_ms);
  if (!std::exchange(rules_.is_shutting_down, true)) {
    // The callbacks may do anything.
    for (const auto& acceptor : acceptors_) acceptor->stop();
    for_each_connection([&](Connection& connection) { connection.shut_down(code, reason); });
  }
  end_shutdown();
}

// Those that are closed still need not be freed yet: that takes the end of the outermost round.
void Context::end_shutdown() {
  if (rules_.is_shutting_down && connection_count_ == 0) destroy();
}

void Connection::shut_down(CloseCode code, std::string_view reason) {
  try {
    if (state_ == State::kHttp) return exchange_->shut_down();
    close(code, reason);
  } catch (const std::bad_alloc&) {  // the others have to be told nevertheless
    terminate();
  }
}

}  // namespace websockets
