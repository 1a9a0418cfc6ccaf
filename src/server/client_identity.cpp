// SPDX-License-Identifier: MIT
#include "server/client_identity.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http_text.h"
#include "http/forwarded.h"

namespace websockets {
namespace {

struct Trace {
  PeerAddress address;
  std::string_view scheme;
  bool is_cut = false;  // by something malformed
};

// RFC 7239 6.2 and 6.3, and what has become usual in X-Forwarded-For.
bool is_withheld(const ForwardedHop& hop) {
  return !hop.is_malformed && (hop.address.empty() || hop.address.starts_with('_') ||
                               http_text::equals_ignoring_case(hop.address, "unknown"));
}

// From the nearest proxy back.
Trace follow(const std::vector<ForwardedHop>& hops, const PeerAddress& proxy, const AddressList& trusted) {
  Trace trace{proxy, {}};
  for (auto hop = hops.rbegin(); hop != hops.rend() && trusted.contains(trace.address); ++hop) {
    if (!hop->scheme.empty()) trace.scheme = hop->scheme;
    const std::optional<PeerAddress> address = PeerAddress::parse(hop->address);
    if (!address) {
      trace.is_cut = !is_withheld(*hop);
      break;
    }
    trace.address = *address;
  }
  return trace;
}

// What is cut says nothing against the other.
std::optional<PeerAddress> agreed_address(const Trace& older, const Trace& newer, const PeerAddress& proxy) {
  if (older.address == newer.address) return older.address;
  if (older.is_cut && newer.is_cut) return proxy;
  if (older.is_cut) return newer.address;
  if (newer.is_cut) return older.address;
  return std::nullopt;
}

bool is_secure(std::string_view scheme) {
  return http_text::equals_ignoring_case(scheme, "https") || http_text::equals_ignoring_case(scheme, "wss");
}

}  // namespace

void ClientIdentity::begin(const PeerAddress& peer, bool sends_header) {
  if (!trusted_.contains(peer)) return;
  proxy_ = peer;
  if (sends_header) header_ = std::make_unique<ProxyHeaderParser>();
}

std::optional<PeerAddress> ClientIdentity::end_header() {
  const std::unique_ptr<ProxyHeaderParser> header = std::move(header_);
  proxy_.reset();
  if (header->source() == ProxyHeaderParser::Source::kProxy) return std::nullopt;
  // It may be another trusted proxy. One that is not known is none.
  const bool is_proxy = header->source() == ProxyHeaderParser::Source::kAddress && trusted_.contains(header->client());
  if (is_proxy) proxy_ = header->client();
  return header->client();
}

std::optional<ClientIdentity::Client> ClientIdentity::find(const Request& request, const Client& peer) const {
  if (!proxy_) return peer;
  const std::string addresses = request.joined("X-Forwarded-For");
  const std::string schemes = request.joined("X-Forwarded-Proto");
  const Trace older = follow(read_x_forwarded(addresses, schemes), *proxy_, trusted_);
  const std::string forwarded = request.joined("Forwarded");
  const Trace newer = follow(read_forwarded(forwarded), *proxy_, trusted_);
  std::optional<PeerAddress> address = older.address;
  if (request.count("Forwarded") > 0) {
    address = request.count("X-Forwarded-For") == 0 ? newer.address : agreed_address(older, newer, *proxy_);
  }
  const std::string_view scheme = older.scheme.empty() ? newer.scheme : older.scheme;
  const bool agree = newer.scheme.empty() || is_secure(scheme) == is_secure(newer.scheme);
  if (!address || !agree) return std::nullopt;
  return Client{*address, scheme.empty() ? peer.is_secure : is_secure(scheme)};
}

}  // namespace websockets
