// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "websocket/carrier.h"

namespace websockets {

class MessageCompression;
class PeerAddress;
class PendingUpgrade;
class Request;
struct Subprotocol;

// Carries an HTTP exchange, and then the session that it may become. To an exchange, Carrier's functions are what they
// are to a session: reading_changed() follows HttpExchange::takes_input(), defer() leads to run_deferred().
class HttpCarrier : public Carrier {
 public:
  // The client, as far as it is known.
  virtual const PeerAddress& peer() const = 0;
  // A trusted proxy has told who that is. False: it was refused, and the exchange has ended.
  virtual bool set_peer(const PeerAddress& peer) = 0;
  virtual bool is_tls() const = 0;

  // As in Handler: may do anything with the connection, the end of the exchange included.
  virtual bool on_http(const Request& request) = 0;
  virtual bool on_upgrade(const std::shared_ptr<PendingUpgrade>& pending) = 0;

  // The answer to the handshake is queued: a session takes the place of the exchange, which is destroyed. May call the
  // handler. Throws std::bad_alloc.
  virtual void open_websocket(const Subprotocol& subprotocol, std::unique_ptr<MessageCompression> compression) = 0;

 protected:
  ~HttpCarrier() = default;
};

}  // namespace websockets
