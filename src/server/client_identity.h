// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "http/request.h"
#include "net/address_list.h"
#include "net/proxy_header.h"
#include "net/socket_address.h"

namespace websockets {

// Who speaks on a connection, as far as trusted proxies tell: by the PROXY protocol once, in front of everything else,
// and by headers with each request. Bytes and requests in, addresses out.
class ClientIdentity {
 public:
  // `trusted` has to stay.
  explicit ClientIdentity(const AddressList& trusted) : trusted_(trusted) {}

  // The connection comes from there. `sends_header`: a proxy that is trusted sends a header of the PROXY protocol.
  void begin(const PeerAddress& peer, bool sends_header);

  // That header comes before everything else.
  bool awaits_header() const { return header_ != nullptr; }
  // While awaits_header(): takes bytes of it from the front of `input`, none that is behind it.
  ProxyHeaderParser::Status read_header(std::span<const std::uint8_t>& input) { return header_->consume(input); }
  // Once it is done: who speaks from here on; nullopt: the proxy itself, or somebody whom it does not know.
  std::optional<PeerAddress> end_header();

  struct Client {
    PeerAddress address;
    bool is_secure;  // it uses TLS
  };
  // Who has sent this request, which came from `peer`. That is what the headers Forwarded, X-Forwarded-For and
  // X-Forwarded-Proto say when they come from a trusted proxy: the nearest address that is not trusted, or the farthest
  // one that is known; what is malformed, and what is in front of it, is not. nullopt: Forwarded and the others
  // contradict each other. A proxy that knows one kind passes on what a client says in the other.
  std::optional<Client> find(const Request& request, const Client& peer) const;

 private:
  std::optional<PeerAddress> proxy_;  // that is trusted
  const AddressList& trusted_;
  std::unique_ptr<ProxyHeaderParser> header_;  // while it is not there in full
};

}  // namespace websockets
