// SPDX-License-Identifier: MIT
// What trusted proxies say of who is behind them: by the PROXY protocol once for a connection, by headers with each
// request.
#include <array>
#include <memory>
#include <optional>

#include "server/client_identity.h"
#include "server/connection.h"
#include "server/context.h"
#include "server/http_exchange.h"

namespace websockets {
namespace {

constexpr std::size_t kPeekedBytes = 1024;

}  // namespace

// --- The address ---

// Proxies speak for many.
PeerAddress Connection::counted_address() const {
  return context_.options_.trusted_proxies.contains(peer_) ? PeerAddress() : peer_;
}

// False: it has too many connections already, and this one was refused.
bool Connection::set_peer(const PeerAddress& peer) {
  if (peer == peer_) return true;
  const bool was_counted = is_counted_;
  if (was_counted) context_.counts_.leave(counted_address());
  is_counted_ = false;
  peer_ = peer;
  if (!was_counted) return true;
  const Admission admission = context_.counts_.admit(counted_address());
  is_counted_ = admission == Admission::kAdmitted;
  if (!is_counted_) refuse(admission);
  return is_counted_;
}

// --- The PROXY protocol ---

void HttpExchange::begin_behind_proxy(const ContextOptions& options, const PeerAddress& proxy) {
  proxy_ = proxy;
  if (options.expects_proxy_header) proxy_header_ = std::make_unique<ProxyHeaderParser>();
}

bool Connection::awaits_proxy_header() const { return state_ == State::kHttp && exchange_->awaits_proxy_header(); }

// It is before the TLS handshake, of which nothing may be taken. False: more is needed, or the work is used up, or the
// connection ends.
bool Connection::receive_proxy_header(Budget& budget) {
  auto status = ProxyHeaderParser::Status::kIncomplete;
  while (status == ProxyHeaderParser::Status::kIncomplete) {
    if (budget.is_spent()) return false;
    std::array<std::uint8_t, kPeekedBytes> bytes;
    const IoResult result = stream_.peek(bytes);
    if (result.status == IoStatus::kWouldBlock) return false;
    if (result.status != IoStatus::kDone) {
      terminate();
      return false;
    }
    std::span<const std::uint8_t> input = std::span(bytes).first(result.bytes);
    status = exchange_->proxy_header_->consume(input);
    stream_.skip(result.bytes - input.size());
    spend_on_receiving(2 * result.bytes, budget);
  }
  if (status == ProxyHeaderParser::Status::kError) {
    exchange_->refuse_proxy_header();
    return false;
  }
  return end_proxy_header();
}

// False: the connection is refused.
bool Connection::end_proxy_header() {
  const ProxyHeaderParser header = *exchange_->proxy_header_;
  if (header.source() != ProxyHeaderParser::Source::kProxy && !set_peer(header.client())) return false;
  exchange_->proxy_header_.reset();
  // From here on the client is who speaks; it may be another trusted proxy. One that is not known is none.
  const bool is_proxy = header.source() == ProxyHeaderParser::Source::kAddress &&
                        context_.options_.trusted_proxies.contains(header.client());
  exchange_->proxy_ = is_proxy ? std::optional(header.client()) : std::nullopt;
  return true;
}

void HttpExchange::refuse_proxy_header() {
  // Without TLS it can be told.
  if (connection_.is_tls()) {
    connection_.context_.refuse(RefusalReason::kBadRequest, {&connection_.peer()});
    return connection_.terminate();
  }
  proxy_header_.reset();
  refuse(RefusalReason::kBadRequest, {400, "A header of the PROXY protocol is expected here."});
}

// --- Headers ---

// False: the request was refused.
bool HttpExchange::identify_client() {
  is_secure_ = connection_.is_tls();
  if (!proxy_) return true;
  const std::optional<ClientIdentity> client =
      find_client(parser_.request(), {*proxy_, is_secure_}, connection_.context_.options_.trusted_proxies);
  if (!client) {
    refuse(RefusalReason::kBadRequest, {400, "Forwarded and X-Forwarded-For or -Proto contradict each other."},
           &parser_.request());
    return false;
  }
  is_secure_ = client->is_secure;
  return connection_.set_peer(client->address);
}

}  // namespace websockets
