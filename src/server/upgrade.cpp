// SPDX-License-Identifier: MIT
// The part of an HTTP exchange that makes a websocket of the connection, or decides that it becomes none.
#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "http/origin.h"
#include "server/connection.h"
#include "server/context.h"
#include "server/http_exchange.h"
#include "websocket/handshake.h"

namespace websockets {

HttpExchange::~HttpExchange() {
  if (pending_ != nullptr && pending_->status_ == PendingUpgrade::Status::kWaiting) {
    pending_->status_ = PendingUpgrade::Status::kClosed;
  }
}

// --- The handshake ---

HandshakeVerdict HttpExchange::check_upgrade(std::string_view upgrade) const {
  const Request& request = parser_.request();
  const std::string options = request.joined("Connection");
  const std::string extensions = request.joined("Sec-WebSocket-Extensions");
  HandshakeRequest handshake;
  handshake.method = request.method();
  handshake.http_minor_version = request.minor_version();
  handshake.host = request.header("Host");
  handshake.upgrade = upgrade;
  handshake.connection = options;
  handshake.key = request.header("Sec-WebSocket-Key");
  handshake.version = request.header("Sec-WebSocket-Version");
  handshake.extensions = extensions;
  handshake.has_host = request.count("Host") > 0;
  handshake.has_key = request.count("Sec-WebSocket-Key") > 0;
  handshake.has_version = request.count("Sec-WebSocket-Version") > 0;
  handshake.repeated_header =
      request.count("Host") > 1 || request.count("Sec-WebSocket-Key") > 1 || request.count("Sec-WebSocket-Version") > 1;
  return check_handshake(handshake);
}

void HttpExchange::upgrade(std::string_view upgrade) {
  const HandshakeVerdict verdict = check_upgrade(upgrade);
  if (verdict.status != 101) return refuse_handshake(verdict);

  Context& context = connection_.context_;
  if (!allows_origin(context.options_)) {
    return refuse(RefusalReason::kOrigin, {403, "Pages of this origin may not open websockets here."},
                  &parser_.request());
  }
  const Request& request = parser_.request();
  std::string_view why_not;
  protocol_ = context.hub_.choose(request.joined("Sec-WebSocket-Protocol"), why_not);
  if (protocol_ == nullptr) {
    return refuse(RefusalReason::kSubprotocol, {400, why_not}, &request);
  }
  if (context.options_.asks_before_upgrade) return ask_for_decision();
  grant({});
}

// RFC 6455 10.2. Who is no browser need not send an Origin, and could send any.
bool HttpExchange::allows_origin(const ContextOptions& options) const {
  const Request& request = parser_.request();
  const std::size_t count = options.checks_origins ? request.count("Origin") : 0;
  if (count == 0) return true;
  const std::string_view origin = request.header("Origin");
  return count == 1 && std::any_of(options.origins.begin(), options.origins.end(),
                                   [&](const std::string& pattern) { return matches_origin(origin, pattern); });
}

void HttpExchange::refuse_handshake(const HandshakeVerdict& verdict) {
  Answer refusal{verdict.status, verdict.text};
  if (verdict.status == 405) refusal.headers = {{"Allow", "GET"}};
  // RFC 6455 4.4; RFC 9110 15.5.22 and 7.8.
  if (verdict.status == 426) {
    refusal.headers = {{"Sec-WebSocket-Version", "13"}, {"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  }
  refuse(verdict.status == 426 ? RefusalReason::kVersion : RefusalReason::kHandshake, refusal, &parser_.request());
}

// --- The owner's decision ---

void HttpExchange::ask_for_decision() {
  phase_ = Phase::kDeciding;
  pending_ = std::make_shared<PendingUpgrade>(connection_);
  // The callback may end the connection, which is freed later.
  const bool succeeded = connection_.context_.handler_.on_upgrade(connection_, *this, pending_);
  pending_->is_in_handler_ = false;
  if (connection_.state_ != Connection::State::kHttp) return;
  if (!succeeded) return decide({500, {}, false, "The server failed to answer this request.\n"});
  if (pending_->answer_) return decide(*std::exchange(pending_->answer_, std::nullopt));
  connection_.set_timeout(connection_.context_.options_.upgrade_timeout_ms);
}

void HttpExchange::decide(const UpgradeAnswer& answer) {
  pending_->status_ = PendingUpgrade::Status::kAnswered;
  if (answer.status == 101) return grant(answer.header_lines);
  refuse(answer);
}

// The header line that says what was agreed upon; none when nothing was.
std::string HttpExchange::negotiate_compression() const {
  CompressionPool* const pool = connection_.context_.compression_.get();
  if (pool == nullptr) return {};
  std::string answer;
  connection_.compression_ = pool->negotiate(parser_.request().joined("Sec-WebSocket-Extensions"), answer);
  if (connection_.compression_ == nullptr) return {};
  return std::string("Sec-WebSocket-Extensions: ").append(answer).append("\r\n");
}

void HttpExchange::grant(std::string_view header_lines) {
  if (connection_.context_.is_shutting_down()) {
    return refuse(RefusalReason::kShutdown, {503, "The server is shutting down."}, &parser_.request());
  }
  const Request& request = parser_.request();
  const bool has_offers = !is_empty_list(request.joined("Sec-WebSocket-Protocol"));
  const std::string all_lines = negotiate_compression().append(header_lines);
  const std::string head =
      serialize_switching_protocols(accept_key(request.header("Sec-WebSocket-Key")),
                                    has_offers ? std::string_view(protocol_->name) : std::string_view(), all_lines);
  connection_.queue_.append(connection_.context_.output_pool_, as_bytes(head));
  connection_.after_output();
  const std::unique_ptr<HttpExchange> self = std::move(connection_.exchange_);
  connection_.open(*protocol_, *this);
  if (connection_.has_unread_input()) connection_.context_.defer(connection_);
  connection_.update_interest();
}

// What follows is no request, but may be frames: the connection ends.
void HttpExchange::refuse(const UpgradeAnswer& answer) {
  const std::string_view reason = reason_phrase(answer.status);
  const std::string meaning = std::string(reason.empty() ? "Refused" : reason).append("\n");
  const std::string_view body = answer.body ? std::string_view(*answer.body) : std::string_view(meaning);
  connection_.context_.refuse(RefusalReason::kUpgrade, {&connection_.peer(), &parser_.request(), answer.status, body});
  ResponseHead head;
  head.status = answer.status;
  if (!answer.has_content_type) head.content_type = kTextType;
  head.keep_alive = false;
  head.header_lines = answer.header_lines;
  respond(head, may_have_body(answer.status) ? as_bytes(body) : as_bytes({}));
}

void HttpExchange::run_deferred() {
  if (is_deciding() && pending_->is_abandoned_) decide({503, {}, false, {}});
}

// --- What the owner has of it ---

PendingUpgrade::Status PendingUpgrade::status() const {
  if (status_ == Status::kWaiting && connection_->has_ended_in_http()) return Status::kClosed;
  return status_;
}

PendingUpgrade::Status PendingUpgrade::answer(UpgradeAnswer&& answer) {
  const Status before = status();
  if (before != Status::kWaiting) return before;
  if (answer_) return Status::kAnswered;
  if (is_in_handler_) {
    answer_ = std::move(answer);
    return before;
  }
  try {
    connection_->exchange_->decide(answer);
  } catch (const std::bad_alloc&) {
    connection_->terminate();
    throw;
  }
  return before;
}

void PendingUpgrade::abandon() noexcept {
  if (status() != Status::kWaiting) return;
  is_abandoned_ = true;
  connection_->context_.defer(*connection_);
}

}  // namespace websockets
