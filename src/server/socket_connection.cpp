// SPDX-License-Identifier: MIT
#include "server/socket_connection.h"

#include <memory>
#include <new>
#include <utility>

#include "base/malloc_tuning.h"
#include "loop/loop.h"
#include "server/handler.h"
#include "websocket/message_compression.h"

namespace websockets {
namespace {

// While more of the answers to pipelined requests waits, no further request is read.
constexpr std::size_t kAnswerBytes = 64U << 10U;

InputState state_of(const Session& session) {
  const bool holds_bytes = session.received_bytes() > 0;
  return {session.has_pending_input(), holds_bytes, holds_bytes};
}

}  // namespace

void SocketConnection::adopt(Loop& loop, ConnectionRules& rules, Stream stream, const PeerAddress& peer) {
  auto* const connection = new SocketConnection(loop, rules, std::move(stream), peer);
  try {
    connection->start();
  } catch (const std::bad_alloc&) {
    connection->end(End::kNow);
    throw;
  }
}

void SocketConnection::start() {
  channel_.start();
  channel_.set_sends_files(true);
  channel_.set_deadline(rules().server.options.handshake_timeout_ms);
  http()->start();
  admit();
  channel_.update_interest();
}

// Files were sent before: an exchange takes no request behind one that is queued.
void SocketConnection::open_websocket(const Subprotocol& subprotocol, std::unique_ptr<MessageCompression> compression) {
  channel_.set_sends_files(false);
  Connection::open_websocket(subprotocol, std::move(compression));
}

// Of the round.
std::uint64_t SocketConnection::now_ms() const { return channel_.loop().now_ms(); }

// --- Input ---

void SocketConnection::sync_reading() {
  using Reading = Channel::Reading;
  if (const Session* const session = this->session()) {
    return channel_.set_reading(session->wants_input() ? Reading::kOn : Reading::kOff);
  }
  if (!is_reading()) return channel_.set_reading(Reading::kOff);
  const HttpExchange& exchange = *http();
  const OutputQueue& queue = channel_.output();
  const bool takes_input = exchange.takes_input() && !queue.has_file() && queue.bytes() < kAnswerBytes;
  channel_.set_reading(takes_input ? Reading::kOn : exchange.keeps_input() ? Reading::kAhead : Reading::kOff);
}

void SocketConnection::reading_changed() {
  if (!channel_.is_open()) return;
  sync_reading();
  channel_.count_input();
  if (channel_.has_unread_input()) channel_.defer();
  channel_.update_interest();
}

bool SocketConnection::expects_preamble() const {
  const HttpExchange* const exchange = http();
  return exchange != nullptr && exchange->awaits_proxy_header();
}

std::size_t SocketConnection::on_preamble(std::span<const std::uint8_t> bytes) {
  std::span<const std::uint8_t> rest = bytes;
  const ProxyHeaderParser::Status status = http()->read_proxy_header(rest);
  if (status != ProxyHeaderParser::Status::kIncomplete) http()->end_proxy_header(status);
  return bytes.size() - rest.size();
}

void SocketConnection::on_plain_text() { http()->refuse_plain_text(); }

InputState SocketConnection::on_input(std::span<std::uint8_t>& input, Budget& budget) {
  if (Session* const session = this->session()) {
    const std::uint64_t now = now_ms();
    session->note_received(now);
    session->receive(input, budget, now);
    sync_reading();
    return state_of(*session);
  }
  http()->consume(input, budget);
  sync_reading();
  return {false, false, true};
}

std::span<std::uint8_t> SocketConnection::direct_space() {
  raise_trim_threshold(rules().session.receive.max_message_bytes);
  return session()->direct_space();
}

InputState SocketConnection::on_received_in_place(std::size_t count, Budget& budget) {
  Session& session = *this->session();
  const std::uint64_t now = now_ms();
  session.note_received(now);
  session.received_in_place(count, budget, now);
  sync_reading();
  return state_of(session);
}

std::size_t SocketConnection::held_bytes() const {
  const Session* const session = this->session();
  return session != nullptr ? session->received_bytes() : http()->request_bytes();
}

std::size_t SocketConnection::held_output_bytes() const {
  const Session* const session = this->session();
  return session != nullptr ? session->held_output_bytes() : 0;
}

void SocketConnection::on_end_of_input() {
  if (Session* const session = this->session()) return session->on_end_of_input();
  end(channel_.output().empty() ? End::kNow : End::kAfterOutput);
}

void SocketConnection::on_handshake_failed() { rules().server.refuse(RefusalReason::kTls, {&peer()}); }

// --- Output ---

void SocketConnection::on_output_progress(bool is_empty) {
  if (Session* const session = this->session()) {
    session->on_output_progress();
    if (is_empty) session->on_output_empty();
    return;
  }
  channel_.set_deadline(is_empty ? http()->timeout_ms() : rules().server.options.send_timeout_ms);
  sync_reading();
  if (is_empty && channel_.has_unread_input()) channel_.defer();
}

// --- Later ---

void SocketConnection::on_deadline() {
  if (Session* const session = this->session()) {
    if (session->is_closing() && channel_.takes_second_chance()) return;
    return session->on_deadline(now_ms(), channel_.could_not_receive());
  }
  if (channel_.takes_second_chance()) return;
  if (!is_in_tls_handshake()) return http()->on_deadline();
  on_handshake_failed();
  end(End::kNow);
}

void SocketConnection::run_deferred() {
  if (Session* const session = this->session()) {
    session->run_deferred();
  } else {
    http()->run_deferred();
  }
  sync_reading();
}

void SocketConnection::on_broken() {
  if (Session* const session = this->session()) session->on_broken();
}

// --- Endings ---

void SocketConnection::end(End how) {
  using Linger = Channel::Linger;
  if (HttpExchange* const exchange = http()) exchange->on_ended();
  if (how == End::kNow) return channel_.close();
  if (!channel_.is_open()) return;
  channel_.drain(how == End::kAfterOutput ? Linger::kNo
                 : how == End::kLinger    ? Linger::kUntilPeerEnds
                                          : Linger::kPeerFirst);
}

void SocketConnection::on_closed() {
  if (HttpExchange* const exchange = http()) exchange->on_ended();
  leave();
}

void SocketConnection::on_lost() {
  if (Session* const session = this->session(); session != nullptr && !session->has_ended()) session->terminate();
}

void SocketConnection::on_released() {
  if (user != nullptr) handler().on_freed(*this);
  delete this;
}

}  // namespace websockets
