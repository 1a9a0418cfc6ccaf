// SPDX-License-Identifier: MIT
#include "server/connection.h"

#include <new>
#include <utility>

#include "base/clock.h"
#include "server/handler.h"
#include "server/hub.h"
#include "websocket/message_compression.h"

namespace websockets {

Connection::Connection(ConnectionRules& rules, const PeerAddress& peer)
    : rules_(rules), exchange_(std::make_unique<HttpExchange>(*this, rules.server)), peer_(peer) {
  rules.http_connections.push_back(*this);
}

Connection::~Connection() {
  if (is_websocket_) {
    session_.~Session();
  } else {
    exchange_.~Exchange();
  }
  if (serial() == 0) {
    rules_.http_connections.remove(*this);
  } else {
    rules_.hub.remove(*this);
  }
}

// --- Admission ---

void Connection::admit() {
  ticket_ = rules_.server.admission.admit(peer_);
  if (!ticket_) refuse();
}

// It was not admitted.
void Connection::refuse() {
  const AdmissionVerdict verdict = rules_.server.admission.check(peer_);
  ticket_ = rules_.server.admission.admit_refused();
  // Before the TLS handshake there is no way to send an HTTP answer.
  if (ticket_ && !is_in_tls_handshake()) return http()->refuse(verdict);
  rules_.server.refuse(reason_of(verdict), {&peer_});
  end(End::kNow);
}

bool Connection::set_peer(const PeerAddress& peer) {
  if (peer == peer_) return true;
  peer_ = peer;
  ticket_ = {};  // first: it is not one more
  ticket_ = rules_.server.admission.admit(peer);
  if (ticket_) return true;
  refuse();
  return false;
}

// --- As a carrier ---

bool Connection::on_http(const Request& request) { return rules_.handler.on_http(*this, request); }

bool Connection::on_upgrade(const std::shared_ptr<PendingUpgrade>& pending) {
  return rules_.handler.on_upgrade(*this, *http(), pending);
}

void Connection::session_closed() { rules_.hub.leave(*this); }

void Connection::open_websocket(const Subprotocol& subprotocol, std::unique_ptr<MessageCompression> compression) {
  cancel_deadline();
  const Exchange exchange = std::move(exchange_);
  exchange_.~Exchange();
  new (&session_) Session(rules_.session, *this, std::move(compression));
  is_websocket_ = true;
  session_.start(monotonic_ms());
  if (!is_reading_) session_.set_reading(false, monotonic_ms());
  rules_.http_connections.remove(*this);
  rules_.hub.join(*this, subprotocol);
  if (!rules_.handler.on_open(*this, *exchange)) session_.fail(CloseCode::kInternalError, "the handler failed");
  reading_changed();
}

void Connection::set_reading(bool enabled) {
  if (is_websocket_) return session_.set_reading(enabled, monotonic_ms());
  is_reading_ = enabled;
  reading_changed();
}

// --- Endings ---

void Connection::close(CloseCode code, std::string_view reason) {
  if (Session* const session = this->session()) return session->close(code, reason);
  end(End::kLinger);
}

void Connection::terminate(CloseCode code, std::string_view reason) {
  if (Session* const session = this->session(); session != nullptr && !session->has_ended()) {
    return session->terminate(code, reason);
  }
  end(End::kNow);
}

void Connection::shut_down(CloseCode code, std::string_view reason) {
  try {
    if (Session* const session = this->session()) return session->close(code, reason);
    http()->shut_down();
  } catch (const std::bad_alloc&) {  // the others have to be told nevertheless
    terminate();
  }
}

void Connection::destroy() {
  if (Session* const session = this->session(); session != nullptr && !session->has_ended()) {
    return session->destroy(CloseCode::kGoingAway);
  }
  // Of a session that has ended on_closed was called, or is about to be by the call that ended it, lower on the stack.
  while (flush_now()) {
  }
  end(End::kNow);
}

void Connection::abandon() {
  if (Session* const session = this->session()) session->abandon();
  abandon_carrier();
}

void Connection::shed() {
  constexpr std::string_view kWhy = "the server is short of memory";
  rules_.server.refuse(RefusalReason::kMemory, {&peer_});
  Session* const session = this->session();
  try {
    if (session == nullptr) return http()->shed();
    // Else the peer would have to read first what it does not read.
    if (session->has_ended() || !output().empty()) return terminate(CloseCode::kTryAgainLater, kWhy);
    session->fail(CloseCode::kTryAgainLater, kWhy);
  } catch (const std::bad_alloc&) {
    terminate(CloseCode::kTryAgainLater, kWhy);
  }
}

std::size_t Connection::buffered_bytes() {
  const Session* const session = this->session();
  return session != nullptr ? session->buffered_bytes() : output().bytes();
}

}  // namespace websockets
