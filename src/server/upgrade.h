// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/refusals.h"
#include "server/subprotocol.h"
#include "websocket/message_compression.h"

// What becomes of a request for a websocket: functions of the request, and of what the server has to offer.
namespace websockets {

struct ContextOptions;

// Whether the request asks for one at all.
bool asks_for_websocket(const Request& request);

struct UpgradeVerdict {
  const Subprotocol* subprotocol = nullptr;  // null: the request is refused
  RefusalAnswer refusal = {};
};

// Of a request for which asks_for_websocket() holds: whether its handshake is good, and the server serves what it
// offers and pages of its origin (RFC 6455 4.2.1 and 4.2.2, 10.2). `subprotocols` are those of the options, and have to
// stay.
UpgradeVerdict check_upgrade(const Request& request, const ContextOptions& options,
                             std::span<const Subprotocol> subprotocols);

// What is agreed upon with a client that gets its websocket, beside the subprotocol.
struct UpgradeAgreement {
  std::string head;                                 // of the answer
  std::unique_ptr<MessageCompression> compression;  // null: none
};

// After check_upgrade(). `compression`: null: none is offered. `header_lines`: further ones of the answer, as in
// ResponseHead. Throws std::bad_alloc.
UpgradeAgreement agree_to_upgrade(const Request& request, const Subprotocol& subprotocol, CompressionPool* compression,
                                  std::string_view header_lines);

}  // namespace websockets
