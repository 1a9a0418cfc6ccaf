// SPDX-License-Identifier: MIT
#include "client/client.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "base/clock.h"
#include "client/final_close.h"
#include "client/write_queue.h"
#include "loop/loop.h"
#include "net/timer_wheel.h"

namespace websockets {
namespace {

// Why an open websocket has ended, in words that name the server.
ClientFailure failure_of(ClientEnd end, CloseCode code, std::string_view reason, std::string_view url, int error) {
  ClientFailure failure;
  failure.phase = FailurePhase::kOpen;
  failure.code = error;
  const bool is_silent = end == ClientEnd::kFailed && code == CloseCode::kGoingAway;
  failure.kind = is_silent || end == ClientEnd::kUnanswered ? FailureKind::kTimeout
                 : end == ClientEnd::kLost                  ? FailureKind::kLost
                                                            : FailureKind::kClosed;
  if (failure.kind == FailureKind::kClosed) failure.close_code = code;
  try {
    std::string text(url);
    if (end == ClientEnd::kPeer) text.append(": the server closed the websocket");
    if (end == ClientEnd::kUnanswered) text.append(": the server did not answer the Close frame in time");
    if (end == ClientEnd::kLost) text.append(": the connection was lost");
    if (end == ClientEnd::kFailed && !is_silent) text.append(": the websocket had to be closed");
    if (failure.kind == FailureKind::kClosed) text.append(", ").append(std::to_string(static_cast<int>(code)));
    if (!reason.empty()) text.append(": ").append(reason);
    failure.message = std::move(text);
  } catch (const std::bad_alloc&) {  // then the kind has to do
  }
  return failure;
}

ClientFailure cancelled(FailurePhase phase) {
  ClientFailure failure;
  failure.kind = FailureKind::kCancelled;
  failure.phase = phase;
  failure.is_final = true;
  failure.message = "cancelled";  // short enough to take no memory
  return failure;
}

ClientFailure owner_failed(const char* what) {
  ClientFailure failure = cancelled(FailurePhase::kNone);
  try {
    failure.message = what;
  } catch (const std::bad_alloc&) {  // then the kind has to do
  }
  return failure;
}

}  // namespace

// What it takes to make connections. It is disposed of, as code of it may be on the stack.
struct Client::Dialing final : public Disposable, private Timer, private ClientAttemptOwner {
  Dialing(Client& its_client, ClientOptions its_options)
      : options(std::move(its_options)),
        queue(its_client.services_.attempts.loop.memory(), options.max_backpressure_bytes),
        attempt(its_client.services_.attempts, options, *this),
        client(its_client),
        loop(its_client.services_.attempts.loop),
        deadline_ms(monotonic_ms() + options.connect_timeout_ms) {
    if (options.reconnect) retry.emplace(*options.reconnect);
  }

  // The next attempt.
  void schedule(std::uint64_t wait_ms) { loop.schedule(*this, wait_ms); }
  // How many seconds it waits; nothing: it will not be made.
  std::optional<double> next_delay(double open_for, std::optional<double> retry_after_s) {
    constexpr double kRandomValues = 4294967296.0;
    if (!retry) return {};
    return retry->next_delay(open_for, retry_after_s, client.services_.attempts.random.next() / kRandomValues);
  }
  bool is_scheduled() const { return scheduled(); }
  void abort() {
    loop.cancel(*this);
    attempt.abort();
    is_attempting = false;
    queue.clear();
  }

  void on_timeout() override { client.begin_attempt(); }
  void on_answered(ClientConnection& connection, ClientAnswer answer) override {
    client.on_answered(connection, std::move(answer));
  }
  void on_attempt_failed(const ClientFailure& failure, std::optional<double> retry_after_s) override {
    client.on_attempt_failed(failure, retry_after_s);
  }

  ClientOptions options;
  WriteQueue queue;  // before the first opening
  ClientAttempt attempt;
  std::optional<RetryPolicy> retry;  // none: there is one attempt
  Client& client;
  Loop& loop;
  std::optional<std::uint64_t> deadline_ms;  // of the first attempt: from the call on
  std::uint64_t opened_ms = 0;               // the last time
  bool is_attempting = false;
};

Client::Client(ClientServices& services, ClientOptions options, void* user) : services_(services), user_(user) {
  dialing_ = std::make_unique<Dialing>(*this, std::move(options));
  dialing_->schedule(0);
  services.clients.push_back(*this);
}

Client::~Client() {
  if (user_ != nullptr) services_.handler.on_client_freed(*this);
}

Client::State Client::state() const {
  const Session* const session = this->session();
  if (has_ended_) return session != nullptr ? State::kClosing : State::kClosed;
  if (session != nullptr) return session->is_closing() ? State::kClosing : State::kOpen;
  return has_opened_ ? State::kReconnecting : State::kConnecting;
}

void Client::set_user(void* user) {
  user_ = user;
  if (connection_ != nullptr) connection_->user = user;
}

Session* Client::session() const {
  if (connection_ == nullptr) return nullptr;
  Session* const session = connection_->session();
  return session == nullptr || session->has_ended() ? nullptr : session;
}

Certificate Client::certificate() const {
  return connection_ == nullptr ? Certificate() : connection_->peer_certificate();
}

int Client::descriptor() const { return connection_ == nullptr ? -1 : connection_->descriptor(); }

std::uint32_t Client::connection_serial() const { return connection_ == nullptr ? 0 : connection_->serial(); }

// --- Sending ---

WriteStatus Client::send(Opcode opcode, bool fin, std::span<const std::uint8_t> payload) {
  if (has_ended_) return WriteStatus::kClosed;
  if (Session* const session = this->session()) return session->send(opcode, fin, payload);
  return has_opened_ ? WriteStatus::kClosed : dialing_->queue.add(opcode, fin, payload);
}

WriteStatus Client::send_close(CloseCode code, std::string_view reason) {
  if (has_ended_) return WriteStatus::kClosed;
  Session* const session = this->session();
  if (session == nullptr) return has_opened_ ? WriteStatus::kClosed : dialing_->queue.add_close(code, reason);
  if (session->is_open()) local_end_ = LocalEnd::kClose;
  return session->send_close(code, reason);
}

bool Client::is_fragmenting() const {
  if (const Session* const session = this->session()) return session->is_fragmenting();
  return dialing_ != nullptr && dialing_->queue.is_fragmenting();
}

std::size_t Client::buffered_bytes() const {
  if (const Session* const session = this->session()) return session->buffered_bytes();
  return dialing_ == nullptr ? 0 : dialing_->queue.bytes();
}

// --- Settings ---

void Client::apply_settings(Session& session) const {
  session.set_chunk_mode(chunk_mode_);
  session.set_notifies_drain(notifies_drain_);
  session.set_notifies_pongs(notifies_pongs_);
  if (!reading_) session.set_reading(false, services_.attempts.loop.now_ms());
}

void Client::set_reading(bool enabled) {
  reading_ = enabled;
  if (Session* const session = this->session()) session->set_reading(enabled, services_.attempts.loop.now_ms());
}

void Client::set_chunk_mode(bool enabled) {
  chunk_mode_ = enabled;
  if (Session* const session = this->session()) session->set_chunk_mode(enabled);
}

void Client::set_notifies_drain(bool notifies) {
  notifies_drain_ = notifies;
  if (Session* const session = this->session()) session->set_notifies_drain(notifies);
}

void Client::set_notifies_pongs(bool notifies) {
  notifies_pongs_ = notifies;
  if (Session* const session = this->session()) session->set_notifies_pongs(notifies);
}

// --- Attempts ---

void Client::begin_attempt() {
  Dialing& dialing = *dialing_;
  dialing.is_attempting = true;
  const std::uint64_t deadline_ms = dialing.deadline_ms.value_or(monotonic_ms() + dialing.options.connect_timeout_ms);
  dialing.deadline_ms.reset();
  try {
    ClientRequest request{dialing.options.url, dialing.options.opening.headers};
    if (dialing.options.asks_owner) {
      const char* const failed = services_.handler.on_attempt(*this, request);
      if (has_ended_) return;
      if (failed != nullptr) return end(CloseCode::kAbnormal, {}, owner_failed(failed));
    }
    dialing.attempt.start(request, deadline_ms);
  } catch (const std::bad_alloc&) {
    on_attempt_failed(ClientFailure(failure_without_memory(FailurePhase::kNone)), {});
  }
}

void Client::on_answered(ClientConnection& connection, ClientAnswer answer) {
  Session& session = connection.open_websocket(std::move(answer.rules), std::move(answer.compression), *this);
  connection_ = &connection;
  connection.user = user_;
  response_ = std::move(answer.response);
  has_opened_ = true;
  Dialing& dialing = *dialing_;
  dialing.is_attempting = false;
  dialing.opened_ms = monotonic_ms();
  // It is there to the end of the round.
  if (!dialing.retry) services_.attempts.loop.dispose(std::move(dialing_));
  apply_settings(session);
  // One that does not read is not watched: an observer of descriptors may have ended it, or opened it anew.
  if (has_ended_ || connection_ != &connection) return;
  if (dialing.queue.is_closing()) local_end_ = LocalEnd::kClose;
  dialing.queue.send_by(session);
  if (!services_.handler.on_open(*this)) session.fail(CloseCode::kInternalError, "the handler failed");
}

void Client::on_attempt_failed(const ClientFailure& failure, std::optional<double> retry_after_s) {
  if (has_ended_) return;  // by an observer of descriptors, when the connection closed
  dialing_->is_attempting = false;
  // What is to be closed is not tried for again.
  if (failure.is_final || dialing_->queue.is_closing()) return end(CloseCode::kAbnormal, {}, failure);
  end_or_retry(CloseCode::kAbnormal, {}, failure, dialing_->next_delay(0, retry_after_s));
}

void Client::on_ended(ClientConnection& connection, ClientEnd end, CloseCode code, std::string_view reason) {
  if (has_ended_) return;  // by an observer of descriptors, when the connection closed
  const LocalEnd local_end = std::exchange(local_end_, LocalEnd::kNone);
  if (local_end == LocalEnd::kReopen) {
    leave_connection();
    return dialing_->schedule(0);
  }
  if (local_end == LocalEnd::kTerminate) return this->end(code, reason, cancelled(FailurePhase::kOpen));
  if (local_end == LocalEnd::kDestroy || end == ClientEnd::kHere ||
      (local_end == LocalEnd::kClose && end == ClientEnd::kPeer)) {
    return this->end(code, reason, {});
  }
  const ClientFailure failure = failure_of(end, code, reason, response_.url(), connection.error());
  if (local_end == LocalEnd::kClose || dialing_ == nullptr) return this->end(code, reason, failure);
  if (is_final_close(code)) return this->end(code, reason, failure);
  leave_connection();
  const double open_for = static_cast<double>(monotonic_ms() - dialing_->opened_ms) / 1000;
  end_or_retry(code, reason, failure, dialing_->next_delay(open_for, {}));
}

// It goes on by itself.
void Client::leave_connection() { std::exchange(connection_, nullptr)->leave_owner(); }

void Client::end_or_retry(CloseCode code, std::string_view reason, const ClientFailure& failure,
                          std::optional<double> delay_s) {
  if (!delay_s) return end(code, reason, failure);
  double seconds = *delay_s;
  const bool goes_on = services_.handler.on_retry(*this, seconds, failure);
  // The call may have ended it, or have begun another attempt.
  if (has_ended_ || dialing_->is_attempting || dialing_->is_scheduled()) return;
  if (!goes_on) return end(code, reason, failure);
  constexpr double kMostSeconds = 1e9;
  seconds = seconds > 0 ? std::min(seconds, kMostSeconds) : 0;  // 0, too, where it is no number
  dialing_->schedule(static_cast<std::uint64_t>(seconds * 1000));
}

// --- Endings ---

void Client::close(CloseCode code, std::string_view reason) {
  if (has_ended_) return;
  Session* const session = this->session();
  if (session == nullptr)
    return break_off(has_opened_ ? code : CloseCode::kAbnormal, has_opened_ ? reason : std::string_view());
  local_end_ = LocalEnd::kClose;
  session->close(code, reason);
}

void Client::terminate() {
  if (has_ended_) {
    if (connection_ != nullptr) connection_->session()->terminate();
    return;
  }
  Session* const session = this->session();
  if (session == nullptr) return break_off(CloseCode::kAbnormal, {});
  local_end_ = LocalEnd::kTerminate;
  session->terminate();
}

bool Client::reopen(CloseCode code, std::string_view reason) {
  if (has_ended_ || dialing_ == nullptr || !dialing_->retry) return false;
  if (Session* const session = this->session()) {
    if (!session->is_open()) return false;
    local_end_ = LocalEnd::kReopen;
    session->close(code, reason);
  } else if (!dialing_->is_attempting) {
    if (connection_ != nullptr) leave_connection();  // it is about to tell its end
    dialing_->schedule(0);
  }
  return true;
}

// While it is not open.
void Client::break_off(CloseCode code, std::string_view reason) {
  end(code == CloseCode::kNone ? CloseCode::kNoStatus : code, reason, cancelled(FailurePhase::kNone));
}

// First it leaves the list: an observer of descriptors may end all that are there.
void Client::retire() {
  has_ended_ = true;
  services_.clients.remove(*this);
  if (dialing_ == nullptr) return;
  dialing_->abort();
  services_.attempts.loop.dispose(std::move(dialing_));
}

void Client::end(CloseCode code, std::string_view reason, const ClientFailure& failure) {
  retire();
  services_.handler.on_client_closed(*this, code, reason, failure);
  if (connection_ == nullptr) dispose();
}

std::size_t Client::destroy() {
  if (has_ended_) return 0;
  if (session() != nullptr) {
    local_end_ = LocalEnd::kDestroy;
    return connection_->destroy();
  }
  const std::size_t left = buffered_bytes();
  break_off(CloseCode::kAbnormal, {});
  return left;
}

void Client::abandon() {
  retire();
  if (connection_ == nullptr) dispose();
}

void Client::dispose() { services_.attempts.loop.dispose(std::unique_ptr<Disposable>(this)); }

void Client::on_released(ClientConnection&) {
  connection_ = nullptr;
  if (has_ended_) dispose();
}

}  // namespace websockets
