// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <vector>

#include "net/socket_address.h"

namespace websockets {

// Addresses and networks that have something in common.
class AddressList {
 public:
  // "192.0.2.1", "192.0.2.0/24", "2001:db8::/32"; "unix": peers of unix sockets, which have no address. False: it is
  // none of these.
  bool add(std::string_view text);
  bool empty() const { return networks_.empty() && !has_unix_; }
  bool contains(const PeerAddress& address) const;

 private:
  struct Network {
    PeerAddress address;
    unsigned bits;  // of 128
  };

  std::vector<Network> networks_;
  bool has_unix_ = false;
};

}  // namespace websockets
