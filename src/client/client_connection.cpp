// SPDX-License-Identifier: MIT
#include "client/client_connection.h"

#include <new>
#include <utility>

#include "base/bytes.h"
#include "base/malloc_tuning.h"
#include "client/client_rules.h"
#include "loop/loop.h"

namespace websockets {
namespace {

// Of an answer, what is looked at by one call: the parser reads each byte twice.
constexpr std::size_t kCostOfAnswer = 50;

InputState state_of(const Session& session) {
  const bool holds_bytes = session.received_bytes() > 0;
  return {session.has_pending_input(), holds_bytes, holds_bytes};
}

}  // namespace

ClientConnection::ClientConnection(Loop& loop, ClientConnectionList& list, Stream stream, ClientOpening& opening)
    : list_(list), opening_(&opening), serial_(list.next_serial()), channel_(loop, std::move(stream), *this) {
  list_.push_back(*this);
}

ClientConnection::~ClientConnection() {
  if (is_websocket_) session_.~Session();
  list_.remove(*this);
}

ClientConnection& ClientConnection::begin(Loop& loop, ClientConnectionList& list, Stream stream,
                                          std::string_view request, ClientOpening& opening) {
  auto* const connection = new ClientConnection(loop, list, std::move(stream), opening);
  try {
    connection->channel_.start();
    connection->output().append(loop.output_pool(), as_bytes(request));
    connection->output_added();
    // It is watched when its opening has it: an observer of descriptors may do anything.
    connection->channel_.defer();
  } catch (const std::bad_alloc&) {
    connection->close();
    throw;
  }
  return *connection;
}

// Nothing here throws: what is agreed upon is not forgotten half-way.
Session& ClientConnection::open_websocket(std::shared_ptr<const ClientRules> rules,
                                          std::unique_ptr<MessageCompression> compression,
                                          ClientConnectionOwner& owner) {
  rules_ = std::move(rules);
  new (&session_) Session(rules_->session, *this, std::move(compression));
  is_websocket_ = true;
  owner_ = &owner;
  session_.start(now_ms());
  return session_;
}

void ClientConnection::leave_owner() {
  if (is_websocket_) {
    owner_ = nullptr;
  } else {
    opening_ = nullptr;
  }
  user = nullptr;
}

// Of the round.
std::uint64_t ClientConnection::now_ms() const { return channel_.loop().now_ms(); }

// --- Input ---

void ClientConnection::sync_reading() {
  const bool wants_input = !is_websocket_ || session_.wants_input();
  channel_.set_reading(wants_input ? Channel::Reading::kOn : Channel::Reading::kOff);
}

void ClientConnection::reading_changed() {
  if (!channel_.is_open()) return;
  sync_reading();
  channel_.count_input();
  if (channel_.has_unread_input()) channel_.defer();
  channel_.update_interest();
}

InputState ClientConnection::on_input(std::span<std::uint8_t>& input, Budget& budget) {
  if (!is_websocket_) {
    std::span<const std::uint8_t> rest = input;
    budget.spend(kCostOfAnswer);
    if (opening_ != nullptr) opening_->on_answer(*this, rest);
    input = input.last(is_websocket_ ? rest.size() : 0);
    sync_reading();
    return {};
  }
  const std::uint64_t now = now_ms();
  session_.note_received(now);
  session_.receive(input, budget, now);
  sync_reading();
  return state_of(session_);
}

std::span<std::uint8_t> ClientConnection::direct_space() {
  raise_trim_threshold(rules_->session.receive.max_message_bytes);
  return session_.direct_space();
}

InputState ClientConnection::on_received_in_place(std::size_t count, Budget& budget) {
  const std::uint64_t now = now_ms();
  session_.note_received(now);
  session_.received_in_place(count, budget, now);
  sync_reading();
  return state_of(session_);
}

std::size_t ClientConnection::held_bytes() const { return is_websocket_ ? session_.received_bytes() : 0; }

std::size_t ClientConnection::held_output_bytes() const { return is_websocket_ ? session_.held_output_bytes() : 0; }

void ClientConnection::on_end_of_input() {
  if (is_websocket_) return session_.on_end_of_input();
  channel_.close();
  if (opening_ != nullptr) opening_->on_answer_ended(true);
}

// --- Output ---

// A peer that takes what had to wait for it is alive, though it may answer no Ping: that waits behind a long message.
// What the kernel takes at once says nothing about the peer.
void ClientConnection::on_output_progress(bool is_empty) {
  if (!is_websocket_) return;
  if (was_blocked_) session_.note_received(now_ms());
  if (!is_empty) has_peer_taken_some();  // from now on, as the kernel has taken more
  was_blocked_ = !is_empty;
  session_.on_output_progress();
  if (is_empty) session_.on_output_empty();
}

// --- Later ---

// The kernel tells that there is room again only when a good part of its buffer is free: of megabytes that takes a slow
// peer minutes.
bool ClientConnection::has_peer_taken_some() {
  const std::size_t waiting = channel_.stream().unacknowledged_bytes();
  return std::exchange(unacknowledged_, static_cast<std::uint32_t>(waiting)) > waiting;
}

void ClientConnection::on_deadline() {
  if (!is_websocket_) return;
  if (has_peer_taken_some()) {
    session_.note_received(now_ms());
    if (session_.is_closing()) return session_.on_output_progress();
  }
  if (session_.is_closing() && channel_.takes_second_chance()) return;
  is_unanswered_ = session_.is_closing();
  session_.on_deadline(now_ms(), channel_.could_not_receive());
}

std::uint64_t ClientConnection::linger_timeout_ms(std::uint64_t usual_ms) const {
  return rules_ == nullptr ? usual_ms : rules_->session.close_timeout_ms;
}

void ClientConnection::run_deferred() {
  if (is_websocket_) session_.run_deferred();
  sync_reading();
}

void ClientConnection::on_broken() {
  if (is_websocket_) session_.on_broken();
}

void ClientConnection::on_handshake_failed() {
  if (!is_websocket_ && opening_ != nullptr) opening_->on_tls_refused(channel_.stream().tls_error());
}

// --- Endings ---

void ClientConnection::end(End how) {
  using Linger = Channel::Linger;
  ending_ = how;
  if (is_being_destroyed_) return;  // destroy() does it
  if (how == End::kNow) return channel_.close();
  if (!channel_.is_open()) return;
  channel_.drain(how == End::kAfterOutput ? Linger::kNo
                 : how == End::kLinger    ? Linger::kUntilPeerEnds
                                          : Linger::kPeerFirst);
}

void ClientConnection::on_session_closed(CloseCode code, std::string_view reason) {
  if (owner_ == nullptr) return;
  const ClientEnd end = !ending_                      ? ClientEnd::kHere
                        : *ending_ == End::kAwaitPeer ? ClientEnd::kPeer
                        : *ending_ == End::kLinger    ? ClientEnd::kFailed
                        : is_unanswered_              ? ClientEnd::kUnanswered
                                                      : ClientEnd::kLost;
  owner_->on_ended(*this, end, code, reason);
}

void ClientConnection::on_shed() {
  constexpr std::string_view kWhy = "memory is short";
  if (!is_websocket_) return on_lost();
  try {
    // Else the peer would have to read first what it does not read.
    if (session_.has_ended() || !output().empty()) return session_.terminate(CloseCode::kTryAgainLater, kWhy);
    session_.fail(CloseCode::kTryAgainLater, kWhy);
  } catch (const std::bad_alloc&) {
    session_.terminate(CloseCode::kTryAgainLater, kWhy);
  }
}

void ClientConnection::on_lost() {
  if (is_websocket_) {
    if (!session_.has_ended()) session_.terminate();
    return;
  }
  channel_.close();
  if (opening_ != nullptr) opening_->on_answer_ended(false);
}

std::size_t ClientConnection::destroy() {
  if (std::exchange(is_being_destroyed_, true)) return 0;
  // Whoever was told how it has ended knows that what is left may not arrive.
  const bool has_ended = !is_websocket_ || session_.has_ended();
  if (!has_ended) {
    session_.destroy(CloseCode::kGoingAway);
  } else {
    while (flush_now()) {
    }
  }
  const std::size_t left = has_ended ? 0 : output().bytes();
  channel_.close_gently();
  return left;
}

void ClientConnection::abandon() {
  if (is_websocket_) session_.abandon();
  channel_.abandon();
}

void ClientConnection::on_released() {
  if (is_websocket_ && owner_ != nullptr) owner_->on_released(*this);
  delete this;
}

}  // namespace websockets
