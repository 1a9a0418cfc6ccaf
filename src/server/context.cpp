// SPDX-License-Identifier: MIT
#include "server/context.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "net/stream.h"
#include "net/tls_server_context.h"
#include "server/backplane.h"
#include "server/handler.h"
#include "server/privileges.h"
#include "server/socket_connection.h"
#include "websocket/message_compression.h"

namespace websockets {
namespace {

LoopOptions loop_options(const ContextOptions& options, Handler& handler) {
  LoopOptions result;
  result.driver = options.driver;
  result.observer = options.announces_descriptors ? &handler : nullptr;
  result.announces_one = options.announces_one;
  result.max_memory_bytes = options.max_memory_bytes;
  result.linger_timeout_ms = options.close_timeout_ms;
  return result;
}

}  // namespace

Context::Context(const ContextOptions& options, Handler& handler)
    : options_(options),
      contents_{options.max_body_memory_bytes},
      handler_(handler),
      owner_(::getpid()),
      loop_(loop_options(options_, handler), *this),
      admission_(options.max_connections, options.max_connections_per_address, options_.trusted_proxies),
      rates_(options.max_message_rate),
      hub_(options_, *this, loop_.memory()),
      rules_{{options_, stats_, loop_.output_pool(), admission_, refusals_, hub_},
             {options.rules, options.keepalive, options.max_backpressure_bytes, options.close_timeout_ms,
              FrameWriter(loop_.output_pool()), handler, loop_.memory(), stats_, rates_},
             handler,
             hub_,
             http_connections_},
      listeners_(loop_, *this) {
  if (options.compression) compression_ = std::make_unique<CompressionPool>(*options.compression);
  rules_.server.compression = compression_.get();
  rules_.session.receive.partial_messages = &partial_messages_;
  options_.request_limits.contents = &contents_;
}

Result<std::unique_ptr<Context>> Context::create(const ContextOptions& options, Handler& handler) {
  std::unique_ptr<Context> context(new Context(options, handler));
  if (Error error = context->open()) return error;
  return context;
}

Error Context::open() {
  if (options_.tls.enabled()) {
    if (Error error = reload_certificates()) return error;
  }
  if (Error error = loop_.open()) return error;
  if (Error error = listeners_.open(options_)) return error;
  if (Error error = listeners_.start()) return error;
  return drop_privileges(options_.uid, options_.gid);
}

Context::~Context() { destroy(); }

Error Context::reload_certificates() {
  if (!options_.tls.enabled()) return {"there is no certificate"};
  if (is_served_elsewhere()) return {"a forked process serves this context"};
  Result<std::unique_ptr<TlsServerContext>> loaded = TlsServerContext::create(options_.tls, tls_.get());
  if (!loaded) return loaded.error();
  tls_ = std::move(*loaded);
  return {};
}

void Context::on_accepted(UniqueFd fd, const SocketAddress& peer) {
  // A unix socket does not leave this machine, and needs no TLS.
  const bool is_tls = tls_ != nullptr && !peer.is_unix();
  const PeerAddress address(peer);
  ++stats_.connections;
  const AdmissionVerdict verdict = admission_.check(address);
  // Before the TLS handshake there is no way to send an HTTP answer.
  if (is_tls && verdict != AdmissionVerdict::kAdmitted) return rules_.server.refuse(reason_of(verdict), {&address});
  SslSession session = is_tls ? tls_->new_session(fd.get()) : nullptr;
  SocketConnection::adopt(loop_, rules_, Stream(std::move(fd), std::move(session)), address);
}

template <typename Function>
void Context::for_each_connection(Function function) {
  const auto for_each_of = [&](const ReceiverList& list) {
    for (Receiver* receiver = list.first(); receiver != nullptr; receiver = ReceiverList::next(*receiver)) {
      function(static_cast<Connection&>(*receiver));
    }
  };
  for_each_of(http_connections_);
  for (const Subprotocol& subprotocol : hub_.subprotocols()) for_each_of(subprotocol.receivers);
}

// --- Serving ---

void Context::service(int timeout_ms) {
  if (!is_served_elsewhere()) return loop_.service(timeout_ms);
  static_cast<void>(::poll(nullptr, 0, timeout_ms));  // a signal ends the wait
}

Context::DescriptorStatus Context::service_descriptor(int fd) {
  const Loop::Round round(loop_);
  const Pollable* const pollable = loop_.service_descriptor(fd);
  if (pollable == nullptr) return DescriptorStatus::kServed;
  if (const Acceptor* const acceptor = listeners_.find(pollable)) {
    return acceptor->failed() ? DescriptorStatus::kAcceptFailed : DescriptorStatus::kServed;
  }
  return pollable->fd() < 0 ? DescriptorStatus::kClosed : DescriptorStatus::kServed;
}

bool Context::has_work() const { return !refusals_.empty() || handler_.has_work(); }

bool Context::do_work() {
  const bool has_reported = report_refusals();
  return handler_.do_work() || has_reported;
}

void Context::on_served() {
  end_shutdown();
  handler_.on_served();
}

bool Context::report_refusals() {
  const std::vector<Refusal> refusals = refusals_.take();
  for (const Refusal& refusal : refusals) {
    if (!is_destroyed()) handler_.on_refused(refusal);
  }
  return !refusals.empty();
}

SocketConnection* Context::find_connection(int fd, std::uint32_t serial) const {
  const auto* const channel = dynamic_cast<Channel*>(loop_.find(fd));
  auto* const connection = channel == nullptr ? nullptr : dynamic_cast<SocketConnection*>(&channel->handler());
  const bool is_it = connection != nullptr && static_cast<std::uint32_t>(connection->serial()) == serial;
  return is_it ? connection : nullptr;
}

void Context::terminate(int fd, std::uint32_t serial) {
  if (SocketConnection* const connection = find_connection(fd, serial)) connection->terminate();
}

StatsReport Context::report() {
  StatsReport report;
  report.counted = stats_;
  report.moved = loop_.stats();
  report.topics = hub_.topics().topic_count();
  report.subscriptions = hub_.topics().subscription_count();
  for_each_connection([&](Connection& connection) {
    if (connection.descriptor() >= 0) ++report.connections;
    report.queued_bytes += connection.buffered_bytes();
  });
  for (const Subprotocol& subprotocol : hub_.subprotocols()) {
    report.protocols.push_back({subprotocol.name, subprotocol.open, subprotocol.opened});
  }
  return report;
}

// --- For the hub ---

Session* Context::session_of(Receiver& receiver) {
  return receiver.is_guest() ? handler_.session_of(receiver) : static_cast<Connection&>(receiver).session();
}

WriteStatus Context::send(Receiver& receiver, PreparedMessage& message) {
  Session* const session = session_of(receiver);
  return session == nullptr ? WriteStatus::kClosed : session->send(message);
}

bool Context::on_broadcast(Receiver& receiver, std::span<const std::uint8_t> data) {
  auto& connection = static_cast<Connection&>(receiver);
  return !connection.is_open() || handler_.on_broadcast(connection, data);
}

void Context::defer_failure(Receiver& receiver, CloseCode code) {
  if (Session* const session = session_of(receiver)) session->defer_failure(code);
}

// --- The end ---

void Context::drain(std::uint64_t duration_ms, std::uint64_t shutdown_ms, CloseCode code) {
  if (is_destroyed() || is_shutting_down() || std::exchange(rules_.server.is_draining, true)) return;
  listeners_.stop();
  drain_timer_.start(monotonic_ms() + duration_ms, shutdown_ms, code);
}

void Context::DrainTimer::start(std::uint64_t end_ms, std::uint64_t shutdown_ms, CloseCode code) {
  end_ms_ = end_ms;
  shutdown_ms_ = shutdown_ms;
  code_ = code;
  context_.loop_.schedule(*this, 0);
}

void Context::DrainTimer::on_timeout() {
  constexpr std::uint64_t kStepMs = 50;
  if (context_.is_shutting_down()) return;
  const std::uint64_t now_ms = monotonic_ms();
  const std::uint64_t left_ms = end_ms_ > now_ms ? end_ms_ - now_ms : 0;
  if (left_ms == 0 || context_.loop_.channel_count() == 0) return context_.shut_down(shutdown_ms_, code_, {});
  context_.close_share(left_ms / kStepMs + 1, code_);
  context_.loop_.schedule(*this, std::min(left_ms, kStepMs));
}

// One of so many, rounded up.
void Context::close_share(std::uint64_t of, CloseCode code) {
  std::size_t open = 0;
  for (const Subprotocol& subprotocol : hub_.subprotocols()) open += subprotocol.open;
  std::size_t left = open / of + (open % of > 0 ? 1 : 0);
  const Loop::Round round(loop_);
  for_each_connection([&](Connection& connection) {
    if (left == 0 || !connection.is_open()) return;
    --left;
    connection.shut_down(code, {});
  });
}

void Context::shut_down(std::uint64_t timeout_ms, CloseCode code, std::string_view reason) {
  if (is_destroyed()) return;
  const Loop::Round round(loop_);
  loop_.schedule(shutdown_timer_, timeout_ms);
  if (!std::exchange(rules_.server.is_shutting_down, true)) {
    // The callbacks may do anything.
    listeners_.stop();
    handler_.on_shut_down(code, reason);
    for_each_connection([&](Connection& connection) { connection.shut_down(code, reason); });
  }
  end_shutdown();
}

// Those that are closed still need not be released yet: that takes the end of the outermost round.
void Context::end_shutdown() {
  if (is_shutting_down() && loop_.channel_count() == 0) destroy();
}

void Context::destroy() {
  if (owner_ == ::getpid() && !is_served_elsewhere()) report_refusals();
  if (is_destroyed()) return;
  loop_.stop();
  const Loop::Round round(loop_);
  // An inherited copy: the connections, and a child of its own, are the other process's.
  if (owner_ != ::getpid()) {
    loop_.abandon();
    end_backplane();
    return abandon();
  }
  if (is_served_elsewhere()) {
    backplane_->finish();
    return end_backplane();
  }
  listeners_.stop();
  handler_.on_destroy();
  for_each_connection([](Connection& connection) { connection.destroy(); });
  loop_.close();
}

void Context::leave_to(std::unique_ptr<Backplane> backplane) {
  const Loop::Round round(loop_);
  backplane_ = std::move(backplane);
  hub_.set_backplane(backplane_.get());
  abandon();
  loop_.close();
  loop_.abandon();
}

Error Context::take_over() {
  owner_ = ::getpid();
  loop_.forget_rounds();
  // The parent's drivers are shared with it: what is changed there is changed for both.
  loop_.abandon();
  return loop_.open_own_loop(false);
}

void Context::end_backplane() {
  hub_.set_backplane(nullptr);
  backplane_.reset();
}

void Context::abandon() {
  refusals_.take();
  listeners_.abandon();
  handler_.on_abandon();
  for_each_connection([](Connection& connection) { connection.abandon(); });
}

}  // namespace websockets
