// SPDX-License-Identifier: MIT
#include "server/http_exchange.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <ctime>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "base/budget.h"
#include "base/bytes.h"
#include "files/directory.h"
#include "files/sizeless_file.h"
#include "http/cost.h"
#include "server/connection.h"
#include "server/context.h"
#include "websocket/handshake.h"

namespace websockets {
namespace {

// Of a client that is not only there to hold a connection_.
constexpr std::uint64_t kLeastContentBytesPerSecond = 500;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Opens a regular file; O_NONBLOCK, so that a FIFO of that name is not waited for.
UniqueFd open_file(const char* path, struct stat& info) {
  UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file || ::fstat(file.get(), &info) != 0) return {};
  if (S_ISREG(info.st_mode)) return file;
  errno = ENOENT;
  return {};
}

// Of an answer that the parser has chosen.
bool is_limit(int status) { return status == 413 || status == 414 || status == 431; }

}  // namespace

HttpExchange::HttpExchange(Connection& connection, const ContextOptions& options)
    : connection_(connection), parser_(options.request_limits), identity_(options.trusted_proxies) {}

// --- Who speaks ---

void HttpExchange::start() { identity_.begin(connection_.peer(), connection_.context_.options_.expects_proxy_header); }

bool HttpExchange::end_proxy_header(ProxyHeaderParser::Status status) {
  if (status == ProxyHeaderParser::Status::kError) {
    refuse_proxy_header();
    return false;
  }
  const std::optional<PeerAddress> client = identity_.end_header();
  return !client || connection_.set_peer(*client);
}

void HttpExchange::refuse_proxy_header() {
  // Before the TLS handshake there is no way to send an HTTP answer.
  if (connection_.is_tls()) {
    connection_.context_.refuse(RefusalReason::kBadRequest, {&connection_.peer()});
    return connection_.terminate();
  }
  refuse(RefusalReason::kBadRequest, {400, "A header of the PROXY protocol is expected here."});
}

// False: the request was refused.
bool HttpExchange::identify_client() {
  const std::optional<ClientIdentity::Client> client =
      identity_.find(parser_.request(), {connection_.peer(), connection_.is_tls()});
  if (!client) {
    refuse(RefusalReason::kBadRequest, {400, "Forwarded and X-Forwarded-For or -Proto contradict each other."},
           &parser_.request());
    return false;
  }
  is_secure_ = client->is_secure;
  return connection_.set_peer(client->address);
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
        connection_.queue_.append(connection_.context_.output_pool_, as_bytes(kContinue));
        connection_.after_output();
      }
      return consume(input, budget);  // once: a request without content is complete
    case RequestParser::Status::kComplete:
      return handle_request();
    case RequestParser::Status::kError:
      return refuse(is_limit(parser_.error_status()) ? RefusalReason::kTooLarge : RefusalReason::kBadRequest,
                    {parser_.error_status(), parser_.error_text()});
  }
}

// The time of the first request runs since the connection was there.
void HttpExchange::on_incomplete() {
  const Stage stage = parser_.has_head() ? Stage::kHead : parser_.started() ? Stage::kBeginning : Stage::kNothing;
  if (stage == stage_) return;
  stage_ = stage;
  if (stage == Stage::kBeginning && !was_kept_alive_) return;
  if (connection_.queue_.empty()) connection_.set_timeout(timeout_ms(connection_.context_.options_));
}

void HttpExchange::handle_request() {
  const Request& request = parser_.request();
  if (!identify_client()) return;
  const std::string protocols = request.joined("Upgrade");
  if (asks_for_websocket(protocols)) return upgrade(protocols);

  ++connection_.context_.stats_.http_requests;
  phase_ = Phase::kAwaiting;
  deferred_ = raw_ = false;
  in_handler_ = true;
  const bool succeeded = connection_.context_.handler_.on_http(connection_, request);
  in_handler_ = false;
  if (connection_.state_ != Connection::State::kHttp) return;
  if (!succeeded && awaits_answer()) {
    return answer({500, "The server failed to answer this request."}, false);
  }
  if (awaits_answer()) {
    if (!deferred_) return answer({404, "There is nothing here."}, request.keep_alive());
    if (connection_.queue_.empty()) connection_.set_timeout(connection_.context_.options_.answer_timeout_ms);
    return;
  }
  if (!succeeded) keep_alive_ = false;
  settle();
}

template <typename QueueBody>
void HttpExchange::send_answer(ResponseHead& head, QueueBody queue_body) {
  const Request& request = parser_.request();
  phase_ = Phase::kAnswered;
  head.keep_alive = head.keep_alive && !connection_.context_.is_shutting_down();
  keep_alive_ = head.keep_alive;
  head.http_1_0 = request.minor_version() == 0;
  try {
    connection_.queue_.append(connection_.context_.output_pool_, as_bytes(serialize_head(head, std::time(nullptr))));
    if (head.content_length > 0 && request.method() != "HEAD") queue_body();
  } catch (const std::bad_alloc&) {
    connection_.defer_failure(CloseCode::kAbnormal);  // what is queued may be half an answer
    throw;
  }
  settle();
}

void HttpExchange::respond(ResponseHead& head, std::span<const std::uint8_t> body, PinnedPayload pinned) {
  head.content_length = body.size();
  head.keep_alive = head.keep_alive && parser_.request().keep_alive();
  send_answer(head, [&] {
    if (pinned) {
      connection_.queue_.append_pinned(connection_.context_.output_pool_, body, std::move(pinned));
    } else {
      connection_.queue_.append(connection_.context_.output_pool_, body);
    }
  });
}

void HttpExchange::respond_with_file(ResponseHead& head, const SharedFile& file, std::span<const FilePart> parts,
                                     std::string_view end) {
  head.content_length = end.size();
  for (const FilePart& part : parts) head.content_length += part.text.size() + part.bytes;
  head.keep_alive = head.keep_alive && parser_.request().keep_alive();
  send_answer(head, [&] {
    OutputPool& pool = connection_.context_.output_pool_;
    for (const FilePart& part : parts) {
      connection_.queue_.append(pool, as_bytes(part.text));
      connection_.queue_.append_file(pool, file, part.first, part.bytes);
    }
    connection_.queue_.append(pool, as_bytes(end));
  });
}

void HttpExchange::answer(const Answer& answer, bool keep_alive) {
  const std::string body = std::string(answer.text) + "\n";
  ResponseHead head;
  head.status = answer.status;
  head.content_type = kTextType;
  head.keep_alive = keep_alive;
  head.headers = answer.headers;
  respond(head, as_bytes(body));
}

bool HttpExchange::serve_file(const char* path, std::string_view content_type) {
  const Request& request = parser_.request();
  if (request.method() != "GET" && request.method() != "HEAD") {
    answer({405, "Only GET and HEAD are allowed here.", {{"Allow", "GET, HEAD"}}}, request.keep_alive());
    return false;
  }
  struct stat info {};
  UniqueFd file = open_file(path, info);
  const Result<std::optional<std::string>> content =
      file ? read_sizeless(file.get(), info.st_size) : system_error("no file");
  if (!content) {
    const bool shortage = is_shortage(content.error().code);
    answer({shortage ? 503 : 404, shortage ? "The server is busy." : "There is nothing here."}, request.keep_alive());
    return false;
  }
  ResponseHead head;
  head.content_type = content_type;
  if (*content) {
    respond(head, as_bytes(**content));
    return true;
  }
  const FilePart whole{{}, 0, static_cast<std::uint64_t>(info.st_size)};
  respond_with_file(head, std::make_shared<const UniqueFd>(std::move(file)), {&whole, 1}, {});
  return true;
}

void HttpExchange::write_raw(std::span<const std::uint8_t> bytes) {
  raw_ = true;
  phase_ = Phase::kAnswered;
  keep_alive_ = false;
  connection_.queue_.append(connection_.context_.output_pool_, bytes);
  settle();
}

// The answer is queued: gets ready for the next request, unless the handler is still at work.
void HttpExchange::settle() {
  if (in_handler_) return;
  if (!keep_alive_ || connection_.context_.is_shutting_down()) return connection_.drain(true);
  parser_.reset();
  connection_.count_input();
  phase_ = Phase::kReading;
  stage_ = Stage::kNothing;
  seen_content_bytes_ = 0;
  was_kept_alive_ = true;
  if (connection_.queue_.empty()) {
    connection_.on_output_empty();
  } else {
    connection_.set_timeout(connection_.context_.options_.send_timeout_ms);
    connection_.after_output();
  }
  if (connection_.has_unread_input()) connection_.context_.defer(connection_);
  connection_.update_interest();
}

void HttpExchange::refuse_plain_text() {
  refuse(RefusalReason::kPlainText, {400, "This port speaks TLS: use https or wss."});
}

void HttpExchange::refuse(AdmissionVerdict why) {
  const Answer refusal = why == AdmissionVerdict::kTooManyOfAddress
                             ? Answer{429, "There are too many connections from this address."}
                             : Answer{503, "The server has too many connections."};
  refuse(reason_of(why), refusal);
}

void HttpExchange::refuse(RefusalReason reason, const Answer& refusal, const Request* request) {
  connection_.context_.refuse(reason, {&connection_.peer(), request, refusal.status, refusal.text});
  answer(refusal, false);
}

void HttpExchange::give_up() {
  if (phase_ != Phase::kReading || !connection_.queue_.empty()) return connection_.terminate();
  answer({503, "The server is short of memory."}, false);
  parser_.reset();
  connection_.count_input();
}

std::uint64_t HttpExchange::timeout_ms(const ContextOptions& options) const {
  if (is_deciding()) return options.upgrade_timeout_ms;
  if (awaits_answer()) return options.answer_timeout_ms;
  if (parser_.has_head()) return options.body_timeout_ms;
  return was_kept_alive_ && !parser_.started() ? options.keepalive_timeout_ms : options.handshake_timeout_ms;
}

// Whether enough has come since the last time for the client to go on.
bool HttpExchange::has_content_progress(const ContextOptions& options) {
  const std::size_t bytes = parser_.request().body().size();
  const std::size_t progress = bytes - std::exchange(seen_content_bytes_, bytes);
  return progress > 0 && progress >= options.body_timeout_ms * kLeastContentBytesPerSecond / 1000;
}

void HttpExchange::on_timeout() {
  if (!connection_.queue_.empty()) return connection_.terminate();  // a client that does not read
  if (is_deciding()) return decide({503, {}, false, {}});
  if (awaits_answer() && deferred_ && !in_handler_) {
    return refuse(RefusalReason::kTimeout, {503, "The answer took too long."}, &request());
  }
  if (phase_ != Phase::kReading) return;
  if (!parser_.started()) {
    if (connection_.stream_.is_in_handshake()) connection_.context_.refuse(RefusalReason::kTls, {&connection_.peer()});
    return connection_.terminate();
  }
  const ContextOptions& options = connection_.context_.options_;
  if (parser_.has_head() && has_content_progress(options)) return connection_.set_timeout(options.body_timeout_ms);
  refuse(RefusalReason::kTimeout, {408, "The request did not arrive in time."});
}

}  // namespace websockets
