// SPDX-License-Identifier: MIT
#include "server/client_origin.h"

#include <string>
#include <string_view>
#include <vector>

#include "http/forwarded.h"
#include "protocol/http_text.h"

namespace websockets {
namespace {

struct Trace {
  PeerAddress address;
  std::string_view scheme;
};

// From the nearest proxy back.
Trace follow(const std::vector<ForwardedHop>& hops, const PeerAddress& proxy, const AddressList& trusted) {
  Trace trace{proxy, {}};
  for (auto hop = hops.rbegin(); hop != hops.rend() && trusted.contains(trace.address); ++hop) {
    if (!hop->scheme.empty()) trace.scheme = hop->scheme;
    const std::optional<PeerAddress> address = PeerAddress::parse(hop->address);
    if (!address) break;  // it is not told, or nonsense
    trace.address = *address;
  }
  return trace;
}

bool is_secure(std::string_view scheme) {
  return http_text::equals_ignoring_case(scheme, "https") || http_text::equals_ignoring_case(scheme, "wss");
}

}  // namespace

std::optional<ClientOrigin> find_client(const Request& request, const ClientOrigin& proxy, const AddressList& trusted) {
  const std::string addresses = request.joined("X-Forwarded-For");
  const std::string schemes = request.joined("X-Forwarded-Proto");
  Trace found = follow(read_x_forwarded(addresses, schemes), proxy.address, trusted);
  const std::string forwarded = request.joined("Forwarded");
  if (request.count("Forwarded") > 0) {
    const std::optional<std::vector<ForwardedHop>> hops = read_forwarded(forwarded);
    if (!hops) return std::nullopt;
    const Trace other = follow(*hops, proxy.address, trusted);
    if (request.count("X-Forwarded-For") > 0 && other.address != found.address) return std::nullopt;
    if (!found.scheme.empty() && !other.scheme.empty() && is_secure(found.scheme) != is_secure(other.scheme)) {
      return std::nullopt;
    }
    found.address = other.address;
    if (found.scheme.empty()) found.scheme = other.scheme;
  }
  return ClientOrigin{found.address, found.scheme.empty() ? proxy.is_secure : is_secure(found.scheme)};
}

}  // namespace websockets
