// SPDX-License-Identifier: MIT
#include "server/upgrade.h"

#include <algorithm>
#include <utility>

#include "http/origin.h"
#include "http/request.h"
#include "http/response.h"
#include "server/options.h"
#include "websocket/handshake.h"

namespace websockets {
namespace {

HandshakeVerdict check_handshake(const Request& request) {
  const std::string upgrade = request.joined("Upgrade");
  const std::string connection = request.joined("Connection");
  const std::string extensions = request.joined("Sec-WebSocket-Extensions");
  HandshakeRequest handshake;
  handshake.method = request.method();
  handshake.http_minor_version = request.minor_version();
  handshake.host = request.header("Host");
  handshake.upgrade = upgrade;
  handshake.connection = connection;
  handshake.key = request.header("Sec-WebSocket-Key");
  handshake.version = request.header("Sec-WebSocket-Version");
  handshake.extensions = extensions;
  handshake.has_host = request.count("Host") > 0;
  handshake.has_key = request.count("Sec-WebSocket-Key") > 0;
  handshake.has_version = request.count("Sec-WebSocket-Version") > 0;
  handshake.repeated_header =
      request.count("Host") > 1 || request.count("Sec-WebSocket-Key") > 1 || request.count("Sec-WebSocket-Version") > 1;
  return check_handshake(handshake);
}

RefusalAnswer refusal_of(const HandshakeVerdict& verdict) {
  switch (verdict.status) {
    case 405:
      return {RefusalReason::kHandshake, 405, verdict.text, {{"Allow", "GET"}}};
    case 426:  // RFC 6455 4.4; RFC 9110 15.5.22 and 7.8
      return {RefusalReason::kVersion,
              426,
              verdict.text,
              {{"Sec-WebSocket-Version", "13"}, {"Upgrade", "websocket"}, {"Connection", "Upgrade"}}};
    default:
      return {RefusalReason::kHandshake, verdict.status, verdict.text};
  }
}

// RFC 6455 10.2. Who is no browser need not send an Origin, and could send any.
bool allows_origin(const Request& request, const ContextOptions& options) {
  const std::size_t count = options.checks_origins ? request.count("Origin") : 0;
  if (count == 0) return true;
  const std::string_view origin = request.header("Origin");
  return count == 1 && std::any_of(options.origins.begin(), options.origins.end(),
                                   [&](const std::string& pattern) { return matches_origin(origin, pattern); });
}

UpgradeVerdict refused_subprotocol(std::string_view text) {
  return {nullptr, {RefusalReason::kSubprotocol, 400, text}};
}

// The first one that the client offers and the server has (RFC 6455 4.2.2).
UpgradeVerdict choose_subprotocol(const Request& request, const ContextOptions& options,
                                  std::span<const Subprotocol> subprotocols) {
  const std::string offered = request.joined("Sec-WebSocket-Protocol");
  const Subprotocol* chosen = nullptr;
  if (is_empty_list(offered)) {
    chosen =
        subprotocols.size() == 1 ? &subprotocols.front() : find_subprotocol(subprotocols, options.default_protocol);
    if (chosen != nullptr) return {chosen};
    return refused_subprotocol("This server has several subprotocols: name one in Sec-WebSocket-Protocol.");
  }
  SubprotocolOffers offers(offered);
  for (std::string_view name = offers.next(); !name.empty(); name = offers.next()) {
    if (chosen == nullptr) chosen = find_subprotocol(subprotocols, name);
  }
  if (offers.malformed()) return refused_subprotocol("The Sec-WebSocket-Protocol header is malformed.");
  if (chosen != nullptr) return {chosen};
  return refused_subprotocol("This server has none of the subprotocols in Sec-WebSocket-Protocol.");
}

}  // namespace

bool asks_for_websocket(const Request& request) { return asks_for_websocket(request.joined("Upgrade")); }

UpgradeVerdict check_upgrade(const Request& request, const ContextOptions& options,
                             std::span<const Subprotocol> subprotocols) {
  const HandshakeVerdict handshake = check_handshake(request);
  if (handshake.status != 101) return {nullptr, refusal_of(handshake)};
  if (!allows_origin(request, options)) {
    return {nullptr, {RefusalReason::kOrigin, 403, "Pages of this origin may not open websockets here."}};
  }
  return choose_subprotocol(request, options, subprotocols);
}

UpgradeAgreement agree_to_upgrade(const Request& request, const Subprotocol& subprotocol, CompressionPool* compression,
                                  std::string_view header_lines) {
  UpgradeAgreement agreement;
  std::string lines;
  if (compression != nullptr) {
    std::string answer;
    agreement.compression = compression->negotiate(request.joined("Sec-WebSocket-Extensions"), answer);
    if (agreement.compression != nullptr) lines.append("Sec-WebSocket-Extensions: ").append(answer).append("\r\n");
  }
  lines.append(header_lines);
  const bool has_offers = !is_empty_list(request.joined("Sec-WebSocket-Protocol"));
  agreement.head =
      serialize_switching_protocols(accept_key(request.header("Sec-WebSocket-Key")),
                                    has_offers ? std::string_view(subprotocol.name) : std::string_view(), lines);
  return agreement;
}

}  // namespace websockets
