// SPDX-License-Identifier: MIT
#include "client/client_attempt.h"

#include <array>
#include <cstring>
#include <ctime>
#include <new>
#include <utility>

#include "base/clock.h"
#include "loop/loop.h"
#include "websocket/deflate_negotiation.h"

namespace websockets {
namespace {

// A deadline that comes so late means that nobody was served for so long, whatever the server has done in time.
constexpr std::uint64_t kLateMs = 1000;
constexpr std::uint64_t kSecondChanceMs = 1000;
constexpr std::string_view kTooLate = "there was no connection in time";

std::array<std::uint8_t, 16> random_bytes(MaskingKeys& random) {
  std::array<std::uint8_t, 16> bytes;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint32_t)) {
    const std::uint32_t some = random.next();
    std::memcpy(bytes.data() + at, &some, sizeof some);
  }
  return bytes;
}

}  // namespace

// Short memory ends the attempt.
template <typename Function>
void ClientAttempt::or_fail(Function function) {
  try {
    function();
  } catch (const std::bad_alloc&) {
    fail_without_memory();
  }
}

void ClientAttempt::start(const ClientRequest& request, std::uint64_t deadline_ms) {
  or_fail([&] {
    redirects_.emplace(options_.redirects);
    had_second_chance_ = false;
    address_.clear();
    Result<WebsocketUrl> url = parse_websocket_url(request.url);
    if (!url) {
      ClientFailure failure;
      failure.kind = FailureKind::kCancelled;
      failure.message = url.error().text;
      failure.is_final = true;
      return fail(failure);
    }
    target_ = {std::move(*url), options_.opening, false};
    target_.opening.headers = request.headers;
    if (options_.compression) target_.opening.compression = options_.compression->wanted;
    services_.loop.schedule_at(*this, deadline_ms);
    dial();
  });
}

void ClientAttempt::abort() {
  services_.loop.cancel(*this);
  dial_.reset();
  leave_connection();
}

// The parser is kept: this may be called by code that has the answer in its hands.
void ClientAttempt::leave_connection() {
  if (connection_ == nullptr) return;
  ClientConnection& connection = *std::exchange(connection_, nullptr);
  connection.leave_owner();
  connection.close();
}

// --- To a connection ---

void ClientAttempt::dial() {
  Result<Proxy> proxy = this->proxy();
  if (!proxy) return fail(FailureKind::kProxy, FailurePhase::kProxy, proxy.error().text);
  DialTarget target = dial_target();
  target.proxy = std::move(*proxy);
  dial_ = services_.dials.dial(std::move(target), *this);
  dial_->start();
}

// What is for one origin is not told to another one (RFC 9110 15.4).
DialTarget ClientAttempt::dial_target() const {
  DialTarget target;
  target.host = target_.url.host;
  target.port = target_.url.port;
  target.unix_path = target_.url.unix_path;
  target.interface = options_.interface;
  target.is_tls = target_.url.is_tls;
  target.tls = options_.tls;
  if (target_.is_foreign) {
    target.tls.files = {};
    target.tls.pinned_keys.clear();
    target.tls.server_name.clear();
    return target;
  }
  if (!options_.unix_path.empty()) target.unix_path = options_.unix_path;
  target.address = options_.address;
  if (target.address && target.address->port() == 0) target.address->set_port(target.port);
  return target;
}

// The environment does not know of a place that the options name.
Result<Proxy> ClientAttempt::proxy() const {
  using ProxyUse = ClientOptions::ProxyUse;
  const bool is_place_given = !target_.is_foreign && (!options_.unix_path.empty() || options_.address);
  if (options_.proxy_use == ProxyUse::kGiven) return options_.proxy;
  if (options_.proxy_use == ProxyUse::kNone || is_place_given || !target_.url.unix_path.empty()) return Proxy{};
  return proxy_of_environment({target_.url.is_tls, target_.url.host, target_.url.port});
}

void ClientAttempt::on_dial_failed(Failure failure) { fail(ClientFailure(std::move(failure))); }

void ClientAttempt::on_dialed(Stream stream, std::string address) {
  dial_.reset();
  or_fail([&] {
    address_ = std::move(address);
    tls_refusal_.clear();
    parser_.emplace(ResponseParser::Asked::kWebsocket);
    key_ = opening_key(random_bytes(services_.random));
    const std::string request = opening_request(target_.url, target_.opening, key_);
    connection_ = &ClientConnection::begin(services_.loop, services_.connections, std::move(stream), request, *this);
  });
}

// --- To an answer ---

void ClientAttempt::on_answer(ClientConnection& connection, std::span<const std::uint8_t>& input) {
  std::optional<ClientAnswer> answer;
  or_fail([&] {
    const ResponseParser::Status status = parser_->consume(input);
    if (status == ResponseParser::Status::kComplete) answer = judge();
    if (status == ResponseParser::Status::kError) {
      fail(FailureKind::kHandshake, FailurePhase::kHttp, parser_->error_text());
    }
  });
  if (!answer) return;
  connection_ = nullptr;
  abort();
  parser_.reset();
  owner_.on_answered(connection, std::move(*answer));
}

void ClientAttempt::on_answer_ended(bool is_orderly) {
  or_fail([&] {
    if (!tls_refusal_.empty()) return fail_by_tls();
    if (parser_->end_of_input() == ResponseParser::Status::kComplete && !judge()) return;
    fail(FailureKind::kLost, FailurePhase::kHttp,
         is_orderly ? "the server ended the connection before it had answered" : "the connection was lost",
         connection_->error());
  });
}

void ClientAttempt::fail_by_tls() {
  ClientFailure failure;
  failure.kind = FailureKind::kTls;
  failure.phase = FailurePhase::kTls;
  failure.message = std::move(tls_refusal_);
  failure.address = address_;
  fail(failure);
}

// Nothing: it has failed, or goes on elsewhere.
std::optional<ClientAnswer> ClientAttempt::judge() {
  OpeningVerdict verdict =
      check_opening_answer(parser_->head(), target_.url, target_.opening, key_, std::time(nullptr));
  if (verdict.failure) {
    follow_or_fail(std::move(verdict));
    return {};
  }
  ClientAnswer answer;
  answer.rules = services_.rules.rules_for(options_);
  if (verdict.compression) {
    answer.compression =
        std::make_unique<MessageCompression>(*answer.rules->compression, mirrored(*verdict.compression));
  }
  answer.response = ClientResponse(target_.url.text(), parser_->head());
  return answer;
}

void ClientAttempt::follow_or_fail(OpeningVerdict verdict) {
  ClientFailure failure(std::move(verdict.failure));
  if (options_.redirects > 0 && !verdict.location.empty()) {
    Redirects::Step step = redirects_->follow(target_.url, verdict.location);
    if (!step.failure) return follow(std::move(step));
    static_cast<Failure&>(failure) = std::move(step.failure);
  }
  failure.address = address_;
  if (failure.kind == FailureKind::kHttp) {
    failure.answer = parser_->take_head();
    failure.body = parser_->body();
  }
  fail(failure, verdict.retry_after);
}

void ClientAttempt::follow(Redirects::Step step) {
  leave_connection();
  // The deadline has come in the midst of the redirect's content, or an observer of descriptors has ended the client.
  if (!scheduled()) return fail(FailureKind::kTimeout, FailurePhase::kHttp, kTooLate);
  target_.url = std::move(step.url);
  if (step.is_other_origin && !target_.is_foreign) {
    target_.is_foreign = true;
    target_.opening.headers.clear();
    target_.opening.cookies.clear();
    target_.opening.host.clear();
  }
  dial();
}

// --- Or to none ---

void ClientAttempt::on_timeout() {
  if (!had_second_chance_ && services_.loop.now_ms() >= deadline_ms() + kLateMs) {
    had_second_chance_ = true;
    return services_.loop.schedule(*this, kSecondChanceMs);
  }
  // A refusal whose content has no end is told with what there is of it.
  if (connection_ != nullptr && parser_->has_head()) return on_answer_ended(true);
  or_fail([&] {
    const FailurePhase phase = dial_ != nullptr ? dial_->phase() : FailurePhase::kHttp;
    if (dial_ != nullptr) address_ = dial_->address();
    fail(FailureKind::kTimeout, phase, kTooLate);
  });
}

void ClientAttempt::fail(FailureKind kind, FailurePhase phase, std::string_view why, int error) {
  ClientFailure failure;
  failure.kind = kind;
  failure.phase = phase;
  failure.code = error;
  failure.message = target_.url.place();
  failure.message.append(": ").append(why);
  failure.address = address_;
  fail(failure);
}

void ClientAttempt::fail(const ClientFailure& failure, std::optional<double> retry_after_s) {
  abort();
  owner_.on_attempt_failed(failure, retry_after_s);
}

void ClientAttempt::fail_without_memory() { fail(ClientFailure(failure_without_memory(FailurePhase::kNone))); }

}  // namespace websockets
