// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "dial/failure.h"
#include "dial/proxy_choice.h"
#include "loop/background_tasks.h"
#include "net/name_lookup.h"
#include "net/socket_address.h"
#include "net/stream.h"
#include "net/tls_client_context.h"

namespace websockets {

class Loop;
class TlsClientContexts;

// Whom to connect to.
struct DialTarget {
  std::string host;  // as in WebsocketUrl: no [] around an IPv6 address
  std::uint16_t port = 0;
  std::string unix_path;                 // connects there in place of the host; "": does not
  std::optional<SocketAddress> address;  // likewise
  std::string interface;                 // comes from there, as for interface_addresses(); "": from anywhere
  bool is_tls = false;
  TlsClientOptions tls;  // its server_name, or the host, is verified
  Proxy proxy;           // of no meaning with unix_path or address
};

// What all dialers of a loop share.
struct DialServices {
  Loop& loop;
  BackgroundTasks& tasks;
  TlsClientContexts& tls;
  NameLookup::Resolve resolve = nullptr;  // null: the system's
};

// The owner of a dialer, of which one call comes, in a round. The calls throw nothing, and may destroy the dialer.
class DialerOwner {
 public:
  // `address`: whose socket it is: "192.0.2.1:443", "unix:/path"; a proxy's, if there is one. Over TLS the handshake is
  // over, and input may be there already: see Stream::has_buffered_input().
  virtual void on_dialed(Stream stream, std::string address) = 0;
  virtual void on_dial_failed(Failure failure) = 0;

 protected:
  ~DialerOwner() = default;
};

// Connects to a host once: looks up its name, tries its addresses, goes through a proxy, agrees on TLS and verifies the
// server. Never blocks. It has no deadline: its owner destroys it when it has waited long enough, or for any other
// reason, at any time, also within a call of it; then everything is closed at once, and nobody called but an observer
// of descriptors.
class Dialer {
 public:
  // Throws std::bad_alloc.
  Dialer(const DialServices& services, DialTarget target, DialerOwner& owner);
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // Once. May call the owner.
  void start();
  // How far it has come: kNone before start(), else kName, kTcp, kProxy, kTls.
  FailurePhase phase() const;
  // The address that was tried last: "192.0.2.1:443"; "": none yet. Throws std::bad_alloc.
  std::string address() const;

 private:
  class Dialing;

  Loop& loop_;
  std::unique_ptr<Dialing> dialing_;
};

}  // namespace websockets
