// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "net/certificate.h"
#include "net/socket_address.h"
#include "server/admission.h"
#include "server/connection_rules.h"
#include "server/http_carrier.h"
#include "server/http_exchange.h"
#include "server/receiver.h"
#include "websocket/close_code.h"
#include "websocket/session.h"

namespace websockets {

// One client of a server, from accept to the end, whatever carries its bytes: first an HTTP exchange, then, if it asked
// for that, a session. Whoever derives from this carries the bytes.
class Connection : public HttpCarrier, public Receiver {
 public:
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // --- For the server's owner, who holds a Loop::Round where a handler may be called ---

  // Once it has become a websocket, else null.
  Session* session() { return is_websocket_ ? &session_ : nullptr; }
  const Session* session() const { return is_websocket_ ? &session_ : nullptr; }
  // Before, else null. It may have ended.
  HttpExchange* http() const { return is_websocket_ ? nullptr : exchange_.get(); }
  // A websocket that can be written to.
  bool is_open() const { return session() != nullptr && session()->is_open(); }
  // It was closed before it became a websocket.
  bool has_ended_in_http() const { return session() == nullptr && !is_carried(); }
  Handler& handler() const { return rules_.handler; }
  const PeerAddress& peer() const override { return peer_; }
  virtual Certificate peer_certificate() const = 0;
  // Of its own socket; -1: it has none, or is closed.
  virtual int descriptor() const = 0;

  // The local end: a websocket calls on_closed at once; what is queued, the Close frame and the closing handshake
  // follow in the background. In HTTP: ends after what is queued. Does nothing the second time.
  void close(CloseCode code, std::string_view reason);
  // Ends it now, dropping what is queued; calls on_closed.
  void terminate(CloseCode code = CloseCode::kAbnormal, std::string_view reason = {});
  // Off: nothing is read or delivered, not even what was read already; from HTTP on.
  void set_reading(bool enabled);
  // The output that waits to be sent.
  std::size_t buffered_bytes();

  // --- For the server ---

  // The local end when the whole server ends: HTTP ends behind the answer to a request that has begun.
  void shut_down(CloseCode code, std::string_view reason);
  // The server is destroyed: says so as far as the peer takes it at once.
  void destroy();
  // Another process has it now: gives it up without a word to the peer or to the handler but on_freed.
  void abandon();

  // --- As a carrier ---

  bool set_peer(const PeerAddress& peer) override;
  bool on_http(const Request& request) override;
  bool on_upgrade(const std::shared_ptr<PendingUpgrade>& pending) override;
  void open_websocket(const Subprotocol& subprotocol, std::unique_ptr<MessageCompression> compression) override;
  void session_closed() override;

 protected:
  Connection(ConnectionRules& rules, const PeerAddress& peer);
  ~Connection();

  // Counts it; it is refused when there are too many.
  void admit();
  // It has ended, or is about to: its place is free.
  void leave() { ticket_ = {}; }
  void shed();
  ConnectionRules& rules() const { return rules_; }
  bool is_reading() const { return is_reading_; }  // in HTTP

  // It was not closed.
  virtual bool is_carried() const = 0;
  // Whether an answer could be sent in the clear, or by TLS.
  virtual bool is_in_tls_handshake() const = 0;
  // Gives up what carries it, which lives on in another process.
  virtual void abandon_carrier() = 0;

 private:
  using Exchange = std::unique_ptr<HttpExchange>;

  void refuse();

  ConnectionRules& rules_;
  Admission::Ticket ticket_;
  // A std::variant would take 8 bytes more, of each websocket.
  union {
    Exchange exchange_;
    Session session_;
  };
  PeerAddress peer_;
  bool is_websocket_ = false;  // which of both there is
  bool is_reading_ = true;     // in HTTP
};

}  // namespace websockets
