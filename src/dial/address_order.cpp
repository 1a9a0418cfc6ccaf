// SPDX-License-Identifier: MIT
#include "dial/address_order.h"

#include <array>
#include <cstddef>

namespace websockets {

std::vector<SocketAddress> interleave_families(const std::vector<SocketAddress>& addresses) {
  std::array<std::vector<SocketAddress>, 2> families;
  for (const SocketAddress& address : addresses) {
    families[address.storage.ss_family == addresses[0].storage.ss_family ? 0 : 1].push_back(address);
  }
  std::vector<SocketAddress> ordered;
  for (std::size_t at = 0; ordered.size() < addresses.size(); ++at) {
    for (const auto& family : families) {
      if (at < family.size()) ordered.push_back(family[at]);
    }
  }
  return ordered;
}

}  // namespace websockets
