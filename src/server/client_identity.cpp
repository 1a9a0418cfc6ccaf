// SPDX-License-Identifier: MIT
#include "server/client_identity.h"

#include <string>
#include <string_view>
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

std::optional<ClientIdentity> find_client(const Request& request, const ClientIdentity& proxy,
                                          const AddressList& trusted) {
  const std::string addresses = request.joined("X-Forwarded-For");
  const std::string schemes = request.joined("X-Forwarded-Proto");
  const Trace older = follow(read_x_forwarded(addresses, schemes), proxy.address, trusted);
  const std::string forwarded = request.joined("Forwarded");
  const Trace newer = follow(read_forwarded(forwarded), proxy.address, trusted);
  std::optional<PeerAddress> address = older.address;
  if (request.count("Forwarded") > 0) {
    address = request.count("X-Forwarded-For") == 0 ? newer.address : agreed_address(older, newer, proxy.address);
  }
  const std::string_view scheme = older.scheme.empty() ? newer.scheme : older.scheme;
  const bool agree = newer.scheme.empty() || is_secure(scheme) == is_secure(newer.scheme);
  if (!address || !agree) return std::nullopt;
  return ClientIdentity{*address, scheme.empty() ? proxy.is_secure : is_secure(scheme)};
}

}  // namespace websockets
