// SPDX-License-Identifier: MIT
#include "server/refusals.h"

#include <new>

#include "http/request.h"
#include "net/socket_address.h"

namespace websockets {
namespace {

std::string shortened(std::string_view text) { return std::string(text.substr(0, Refusals::kMostBytes)); }

// Texts of answers may end their last line.
std::string_view without_line_end(std::string_view text) { return text.substr(0, text.find_last_not_of("\r\n") + 1); }

}  // namespace

void Refusals::add(RefusalReason reason, const RefusedClient& client) noexcept {
  if (refusals_.size() >= kMostRefusals) return;
  try {
    Refusal refusal{reason, client.status, shortened(without_line_end(client.message)), {}, {}, {}};
    if (client.peer != nullptr) refusal.address = client.peer->text();
    if (client.request != nullptr) {
      refusal.uri = shortened(client.request->target());
      refusal.origin = shortened(client.request->header("Origin"));
    }
    refusals_.push_back(std::move(refusal));
  } catch (const std::bad_alloc&) {  // it is counted all the same
  }
}

}  // namespace websockets
