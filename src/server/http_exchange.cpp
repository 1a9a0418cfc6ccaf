// SPDX-License-Identifier: MIT
#include "server/http_exchange.h"

#include <ctime>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/output_queue.h"
#include "http/cost.h"
#include "server/hub.h"
#include "server/upgrade.h"

namespace websockets {
namespace {

using End = Carrier::End;

// Of a client that is not only there to hold a connection.
constexpr std::uint64_t kLeastContentBytesPerSecond = 500;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Of an answer that the parser has chosen.
bool is_limit(int status) { return status == 413 || status == 414 || status == 431; }

}  // namespace

HttpExchange::HttpExchange(HttpCarrier& carrier, const ServerRules& rules)
    : carrier_(carrier),
      rules_(rules),
      parser_(rules.options.request_limits),
      identity_(rules.options.trusted_proxies) {}

HttpExchange::~HttpExchange() { on_ended(); }

void HttpExchange::on_ended() {
  state_ = State::kEnded;
  if (pending_ != nullptr) pending_->end(PendingUpgrade::Status::kClosed);
}

// --- Who speaks ---

void HttpExchange::start() { identity_.begin(carrier_.peer(), rules_.options.expects_proxy_header); }

bool HttpExchange::end_proxy_header(ProxyHeaderParser::Status status) {
  if (status != ProxyHeaderParser::Status::kError) {
    const std::optional<PeerAddress> client = identity_.end_header();
    return !client || carrier_.set_peer(*client);
  }
  if (carrier_.is_tls()) {  // before its handshake there is no way to send an HTTP answer
    rules_.refuse(RefusalReason::kBadRequest, {&carrier_.peer()});
    carrier_.end(End::kNow);
  } else {
    refuse({RefusalReason::kBadRequest, 400, "A header of the PROXY protocol is expected here."});
  }
  return false;
}

// False: the request was refused.
bool HttpExchange::identify_client() {
  const std::optional<ClientIdentity::Client> client = identity_.find(request(), {carrier_.peer(), carrier_.is_tls()});
  if (!client) {
    refuse({RefusalReason::kBadRequest, 400, "Forwarded and X-Forwarded-For or -Proto contradict each other."},
           &request());
    return false;
  }
  is_secure_ = client->is_secure;
  return carrier_.set_peer(client->address);
}

// --- Requests ---

void HttpExchange::consume(std::span<std::uint8_t>& input, Budget& budget) {
  std::span<const std::uint8_t> rest = input;
  const RequestParser::Status status = parser_.consume(rest, budget);
  input = input.subspan(input.size() - rest.size());
  if (status == RequestParser::Status::kComplete || status == RequestParser::Status::kError) {
    budget.spend(kCostOfRequest);
  }
  switch (status) {
    case RequestParser::Status::kIncomplete:
      return on_incomplete();
    case RequestParser::Status::kHead:
      if (parser_.expects_continue()) {
        carrier_.output().append(rules_.output_pool, as_bytes(kContinue));
        carrier_.output_added();
      }
      return consume(input, budget);  // once: a request without content is complete
    case RequestParser::Status::kComplete:
      return handle_request();
    case RequestParser::Status::kError:
      return refuse({is_limit(parser_.error_status()) ? RefusalReason::kTooLarge : RefusalReason::kBadRequest,
                     parser_.error_status(), parser_.error_text()});
  }
}

void HttpExchange::on_incomplete() {
  const State state = parser_.has_head() ? State::kHead : parser_.started() ? State::kBeginning : State::kNothing;
  if (std::exchange(state_, state) == state) return;
  // The time of the first request runs since the connection was there.
  if (state == State::kBeginning && !was_kept_alive_) return;
  if (!has_output()) carrier_.set_deadline(timeout_ms());
}

void HttpExchange::handle_request() {
  if (!identify_client()) return;
  if (asks_for_websocket(request())) return upgrade();

  ++rules_.stats.http_requests;
  state_ = State::kUnanswered;
  const bool succeeded = carrier_.on_http(request());
  if (awaits_answer()) {
    const bool is_answer_due = state_ == State::kUnanswered;
    state_ = State::kDeferred;
    if (!succeeded) return answer(500, "The server failed to answer this request.", false);
    if (is_answer_due) return answer(404, "There is nothing here.", true);
    if (!has_output()) carrier_.set_deadline(timeout_ms());
  } else if (state_ == State::kAnswered || state_ == State::kAnsweredRaw) {
    if (!succeeded) keep_alive_ = false;
    settle();
  }
}

// --- Answers ---

template <typename QueueBody>
void HttpExchange::send_answer(ResponseHead& head, QueueBody queue_body) {
  const bool is_last = rules_.is_draining || rules_.is_shutting_down;
  keep_alive_ = head.keep_alive = head.keep_alive && request().keep_alive() && !is_last;
  head.http_1_0 = request().minor_version() == 0;
  try {
    carrier_.output().append(rules_.output_pool, as_bytes(serialize_head(head, std::time(nullptr))));
    if (head.content_length > 0 && request().method() != "HEAD") queue_body();
  } catch (const std::bad_alloc&) {
    state_ = State::kBroken;
    carrier_.defer();
    throw;
  }
  end_answer(State::kAnswered);
}

void HttpExchange::respond(ResponseHead& head, std::span<const std::uint8_t> body, PinnedPayload pinned) {
  head.content_length = body.size();
  send_answer(head, [&] {
    if (pinned) {
      carrier_.output().append_pinned(rules_.output_pool, body, std::move(pinned));
    } else {
      carrier_.output().append(rules_.output_pool, body);
    }
  });
}

void HttpExchange::respond_with_file(ResponseHead& head, const SharedFile& file, std::span<const FilePart> parts,
                                     std::string_view end) {
  head.content_length = end.size();
  for (const FilePart& part : parts) head.content_length += part.text.size() + part.bytes;
  send_answer(head, [&] {
    OutputQueue& output = carrier_.output();
    for (const FilePart& part : parts) {
      output.append(rules_.output_pool, as_bytes(part.text));
      output.append_file(rules_.output_pool, file, part.first, part.bytes);
    }
    output.append(rules_.output_pool, as_bytes(end));
  });
}

void HttpExchange::write_raw(std::span<const std::uint8_t> bytes) {
  keep_alive_ = false;
  carrier_.output().append(rules_.output_pool, bytes);
  end_answer(State::kAnsweredRaw);
}

void HttpExchange::answer(int status, std::string_view text, bool keep_alive) {
  ResponseHead head;
  head.status = status;
  head.keep_alive = keep_alive;
  respond_line(head, text);
}

// The answer is queued.
void HttpExchange::end_answer(State within_call) {
  if (!is_in_call()) return settle();
  state_ = within_call;
}

// The answer is queued, and nobody is to add to it: gets ready for the next request.
void HttpExchange::settle() {
  if (!keep_alive_ || rules_.is_shutting_down) return carrier_.end(End::kLinger);
  parser_.reset();
  state_ = State::kNothing;
  seen_content_bytes_ = 0;
  was_kept_alive_ = true;
  if (has_output()) {
    carrier_.set_deadline(rules_.options.send_timeout_ms);
    carrier_.output_added();
  } else {
    carrier_.set_deadline(timeout_ms());
  }
  carrier_.reading_changed();
}

// --- Refusals ---

void HttpExchange::refuse_plain_text() {
  refuse({RefusalReason::kPlainText, 400, "This port speaks TLS: use https or wss."});
}

void HttpExchange::refuse(AdmissionVerdict why) {
  if (why == AdmissionVerdict::kTooManyOfAddress) {
    return refuse({reason_of(why), 429, "There are too many connections from this address."});
  }
  refuse({reason_of(why), 503, "The server has too many connections."});
}

void HttpExchange::refuse(const RefusalAnswer& refusal, const Request* request) {
  rules_.refuse(refusal.reason, {&carrier_.peer(), request, refusal.status, refusal.text});
  ResponseHead head;
  head.status = refusal.status;
  head.keep_alive = false;
  head.headers = refusal.headers;
  respond_line(head, refusal.text);
}

void HttpExchange::shed() {
  if (!takes_input() || has_output()) return carrier_.end(End::kNow);
  answer(503, "The server is short of memory.", false);
  parser_.reset();
}

// --- Deadlines, and the end ---

std::uint64_t HttpExchange::timeout_ms() const {
  const ContextOptions& options = rules_.options;
  if (state_ == State::kDeciding) return options.upgrade_timeout_ms;
  if (awaits_answer()) return options.answer_timeout_ms;
  if (state_ == State::kHead) return options.body_timeout_ms;
  return state_ == State::kNothing && was_kept_alive_ ? options.keepalive_timeout_ms : options.handshake_timeout_ms;
}

// Whether enough has come since the last time for the client to go on.
bool HttpExchange::has_content_progress() {
  const std::size_t bytes = request().body().size();
  const std::size_t progress = bytes - std::exchange(seen_content_bytes_, bytes);
  return progress > 0 && progress >= rules_.options.body_timeout_ms * kLeastContentBytesPerSecond / 1000;
}

void HttpExchange::on_deadline() {
  if (has_output()) return carrier_.end(End::kNow);  // a client that does not read
  switch (state_) {
    case State::kNothing:
      return carrier_.end(End::kNow);
    case State::kHead:
      if (has_content_progress()) return carrier_.set_deadline(timeout_ms());
      [[fallthrough]];
    case State::kBeginning:
      return refuse({RefusalReason::kTimeout, 408, "The request did not arrive in time."});
    case State::kDeferred:
      return refuse({RefusalReason::kTimeout, 503, "The answer took too long."}, &request());
    case State::kDeciding:
      return decide({503, {}, false, {}});
    default:  // its call has not returned, or it ends anyway
      return;
  }
}

void HttpExchange::run_deferred() {
  if (state_ == State::kBroken) return carrier_.end(End::kNow);
  if (state_ == State::kDeciding && pending_->is_abandoned()) decide({503, {}, false, {}});
}

void HttpExchange::shut_down() {
  if (state_ != State::kNothing) return;  // its answer will be the last one
  carrier_.end(has_output() ? End::kLinger : End::kNow);
}

// --- Requests for a websocket ---

void HttpExchange::upgrade() {
  const UpgradeVerdict verdict = check_upgrade(request(), rules_.options, rules_.hub.subprotocols());
  subprotocol_ = verdict.subprotocol;
  if (subprotocol_ == nullptr) return refuse(verdict.refusal, &request());
  if (rules_.options.asks_before_upgrade) return ask_for_decision();
  grant({});
}

void HttpExchange::ask_for_decision() {
  state_ = State::kDeciding;
  pending_ = std::make_shared<PendingUpgrade>(static_cast<PendingUpgrade::Owner&>(*this));
  const bool succeeded = carrier_.on_upgrade(pending_);
  const std::optional<UpgradeAnswer> given = pending_->end_call();
  if (state_ != State::kDeciding) return;
  if (!succeeded) return decide({500, {}, false, "The server failed to answer this request.\n"});
  if (given) return decide(*given);
  carrier_.set_deadline(timeout_ms());
}

void HttpExchange::on_answer(const UpgradeAnswer& answer) {
  HttpCarrier& carrier = carrier_;
  try {
    decide(answer);
  } catch (const std::bad_alloc&) {
    carrier.end(End::kNow);  // this object may be gone
    throw;
  }
}

void HttpExchange::decide(const UpgradeAnswer& answer) {
  pending_->end(PendingUpgrade::Status::kAnswered);
  answer.status == 101 ? grant(answer.header_lines) : reject(answer);
}

void HttpExchange::grant(std::string_view header_lines) {
  if (rules_.is_shutting_down) {
    return refuse({RefusalReason::kShutdown, 503, "The server is shutting down."}, &request());
  }
  UpgradeAgreement agreement = agree_to_upgrade(request(), *subprotocol_, rules_.compression, header_lines);
  carrier_.output().append(rules_.output_pool, as_bytes(agreement.head));
  carrier_.output_added();
  carrier_.open_websocket(*subprotocol_, std::move(agreement.compression));
}

// What follows is no request, but may be frames: the connection ends.
void HttpExchange::reject(const UpgradeAnswer& answer) {
  const std::string_view reason = reason_phrase(answer.status);
  const std::string meaning = std::string(reason.empty() ? "Refused" : reason).append("\n");
  const std::string_view body = answer.body ? std::string_view(*answer.body) : std::string_view(meaning);
  rules_.refuse(RefusalReason::kUpgrade, {&carrier_.peer(), &request(), answer.status, body});
  ResponseHead head;
  head.status = answer.status;
  if (!answer.has_content_type) head.content_type = "text/plain; charset=utf-8";
  head.keep_alive = false;
  head.header_lines = answer.header_lines;
  respond(head, may_have_body(answer.status) ? as_bytes(body) : as_bytes({}));
}

}  // namespace websockets
