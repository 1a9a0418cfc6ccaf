// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

#include "http/request.h"
#include "net/address_list.h"
#include "net/socket_address.h"

namespace websockets {

// Where a request comes from.
struct ClientIdentity {
  PeerAddress address;
  bool is_secure;  // the client uses TLS
};

// What the headers Forwarded, X-Forwarded-For and X-Forwarded-Proto say of a request that a trusted proxy at `proxy`
// has sent: the nearest address that is not trusted, or the farthest one that is known; what is malformed, and what is
// in front of it, is not. nullopt: Forwarded and the others contradict each other. A proxy that knows one kind passes
// on what a client says in the other.
std::optional<ClientIdentity> find_client(const Request& request, const ClientIdentity& proxy,
                                          const AddressList& trusted);

}  // namespace websockets
