// SPDX-License-Identifier: MIT
// What a session needs to live without a socket: a carrier that writes down what it is told, and that is full when the
// test says so, and a handler that writes down what happens, and does then what the test says.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "failing_allocations.h"
#include "protocol_support.h"
#include "websocket/message_compression.h"
#include "websocket/partial_message.h"
#include "websocket/session.h"

namespace websockets::session_support {

using protocol_support::Bytes;
using protocol_support::to_bytes;
using protocol_support::to_text;

using Log = std::vector<std::string>;

// Keys that are different ones, and always the same in each run. 0, which masks nothing, is one that may come.
class CountingKeys final : public MaskingKeys {
 public:
  std::uint32_t next() override { return 0x9E3779B9U * count_++; }
  std::uint32_t count() const { return count_; }

 private:
  std::uint32_t count_ = 0;
};

// Each session has a handler of its own here: Carrier::user points to it.
class HandlerOfEach final : public SessionHandler {
 public:
  bool on_messages(Session& session, MessageBatch& messages) override {
    return of(session).on_messages(session, messages);
  }
  bool on_chunk(Session& session, MessageType type, std::span<const std::uint8_t> piece, bool is_last) override {
    return of(session).on_chunk(session, type, piece, is_last);
  }
  bool on_pong(Session& session, std::span<const std::uint8_t> payload) override {
    return of(session).on_pong(session, payload);
  }
  bool on_drained(Session& session) override { return of(session).on_drained(session); }
  void on_closed(Session& session, CloseCode code, std::string_view reason) override {
    of(session).on_closed(session, code, reason);
  }

 private:
  static SessionHandler& of(Session& session) { return *static_cast<SessionHandler*>(session.carrier().user); }
};

// What all sessions of one endpoint have in common.
struct Endpoint {
  explicit Endpoint(Role role, const MessageRate& rate = {})
      : rates(rate),
        rules{.frames = FrameWriter(pool, role == Role::kClient ? &keys : nullptr),
              .handler = handler,
              .memory = memory,
              .stats = stats,
              .rates = rates} {
    rules.receive.expect_masked = role == Role::kServer;
    rules.receive.partial_messages = &partial_messages;
  }

  MemoryBudget memory{0};
  OutputPool pool{memory};
  PartialMessagePool partial_messages;
  SessionStats stats;
  MessageRates rates;
  CountingKeys keys;
  HandlerOfEach handler;
  SessionRules rules;
};

class FakeCarrier final : public Carrier {
 public:
  static constexpr std::size_t kAnything = std::numeric_limits<std::size_t>::max();

  FakeCarrier(OutputPool& pool, Log& log) : pool_(pool), log_(log) {}
  ~FakeCarrier() { queue_.clear(pool_); }
  FakeCarrier(const FakeCarrier&) = delete;
  FakeCarrier& operator=(const FakeCarrier&) = delete;

  OutputQueue& output() override { return queue_; }
  void output_added() override { ++added; }
  bool flush_now() override {
    const FailingAllocation::Pause pause;
    ++flushes;
    if (queue_.empty() || room == 0) return false;
    std::array<iovec, 1> parts;
    queue_.gather(parts, std::min(room, at_once));
    const auto* const data = static_cast<const std::uint8_t*>(parts[0].iov_base);
    sent.insert(sent.end(), data, data + parts[0].iov_len);
    room -= room == kAnything ? 0 : parts[0].iov_len;
    queue_.consume(pool_, parts[0].iov_len);
    during_flush();
    session->on_output_progress();
    if (queue_.empty()) session->on_output_empty();
    return room > 0 && !queue_.empty();
  }
  void reading_changed() override { note(session->wants_input() ? "reading on" : "reading off"); }
  void receive_now() override {
    ++receives;
    during_receive();
  }
  void defer() override { is_deferred = true; }
  void set_deadline(std::uint64_t wait_ms) override { deadline_ms = wait_ms; }
  void cancel_deadline() override { deadline_ms.reset(); }
  void end(End how) override {
    ended = how;
    constexpr std::array kNames = {"end after output", "end linger", "end await peer", "end now"};
    note(kNames[static_cast<std::size_t>(how)]);
    if (how == End::kNow) queue_.clear(pool_);
  }
  void session_closed() override { note("session closed"); }

  // Sends all that the peer takes.
  void flush() {
    while (flush_now()) {
    }
  }
  void run_deferred() {
    while (std::exchange(is_deferred, false)) session->run_deferred();
  }

  Session* session = nullptr;
  std::size_t room = kAnything;     // what the peer still takes
  std::size_t at_once = kAnything;  // of it, by one flush
  std::function<void()> during_receive = [] {};
  std::function<void()> during_flush = [] {};
  Bytes sent;
  std::optional<End> ended;
  std::optional<std::uint64_t> deadline_ms;
  bool is_deferred = false;
  int added = 0;
  int flushes = 0;
  int receives = 0;

 private:
  void note(const char* event) {
    const FailingAllocation::Pause pause;
    log_.emplace_back(event);
  }

  OutputPool& pool_;
  Log& log_;
  OutputQueue queue_;
};

// Writes down the events. Before each is over, `action` is called with it; what it returns is returned.
class FakeHandler final : public SessionHandler {
 public:
  explicit FakeHandler(Log& log) : log_(log) {}

  std::function<bool(Session&, const std::string&)> action = [](Session&, const std::string&) { return true; };

  bool on_messages(Session& session, MessageBatch& messages) override {
    ++batches;
    MessageBatch::Message message;
    bool succeeds = messages.next(message) && note(session, name(message.type), message.payload);
    while (succeeds && session.takes_messages() && messages.next(message)) {
      succeeds = note(session, name(message.type), message.payload);
    }
    return succeeds;
  }
  bool on_chunk(Session& session, MessageType type, std::span<const std::uint8_t> piece, bool is_last) override {
    const bool is_text = type == MessageType::kText;
    return note(session,
                is_last   ? (is_text ? "last text:" : "last binary:")
                : is_text ? "chunk text:"
                          : "chunk binary:",
                piece);
  }
  bool on_pong(Session& session, std::span<const std::uint8_t> payload) override {
    return note(session, "pong:", payload);
  }
  bool on_drained(Session& session) override { return note(session, "drained", {}); }
  void on_closed(Session& session, CloseCode code, std::string_view reason) override {
    const FailingAllocation::Pause pause;
    note(session, "closed " + std::to_string(static_cast<int>(code)) + ":", as_bytes(reason));
  }

  int batches = 0;

 private:
  static std::string_view name(MessageType type) { return type == MessageType::kText ? "text:" : "binary:"; }
  bool note(Session& session, std::string_view name, std::span<const std::uint8_t> payload) {
    std::string event;
    {
      const FailingAllocation::Pause pause;
      event = std::string(name) + to_text(payload);
      log_.push_back(event);
    }
    return action(session, event);
  }

  Log& log_;
};

// A session with what it needs.
struct Side {
  explicit Side(Endpoint& its_endpoint, std::unique_ptr<MessageCompression> compression = nullptr)
      : endpoint(its_endpoint), session(endpoint.rules, carrier, std::move(compression)) {
    carrier.session = &session;
    carrier.user = static_cast<SessionHandler*>(&handler);
  }

  // All of it, as long as the session wants it.
  void receive(std::span<std::uint8_t>& input) {
    while ((!input.empty() || session.has_pending_input()) && session.wants_input()) {
      Budget budget;
      session.receive(input, budget, now_ms);
    }
  }
  // The same; returns what is left.
  Bytes receive(Bytes bytes) {
    std::span<std::uint8_t> input(bytes);
    receive(input);
    return {input.begin(), input.end()};
  }
  // What has been sent since.
  Bytes take_sent() {
    carrier.flush();
    return std::exchange(carrier.sent, {});
  }
  Log take_log() { return std::exchange(log, {}); }

  Endpoint& endpoint;
  Log log;
  FakeCarrier carrier{endpoint.pool, log};
  FakeHandler handler{log};
  Session session;
  std::uint64_t now_ms = 1000;
};

// Each frame in `bytes`, in words: "text:…", with "+" behind the name when FIN is not set, "~" when RSV1 is, and "!"
// when it is masked. "?" is what is not whole.
inline Log frames_in(std::span<const std::uint8_t> bytes) {
  Log frames;
  while (!bytes.empty()) {
    FrameHeader header;
    ProtocolError error = ProtocolError::kNone;
    const HeaderStatus status = parse_frame_header(bytes, header, error);
    if (status != HeaderStatus::kComplete || header.payload_bytes > bytes.size() - header.header_bytes) {
      frames.emplace_back("?");
      break;
    }
    constexpr std::array kNames = {"continuation", "text", "binary", "", "", "", "", "", "close", "ping", "pong"};
    std::string frame = kNames[static_cast<std::size_t>(header.opcode)];
    if (!header.fin) frame += '+';
    if (header.rsv1) frame += '~';
    if (header.masked) frame += '!';
    frame += ':';
    const auto payload_bytes = static_cast<std::size_t>(header.payload_bytes);
    std::string payload = to_text(bytes.subspan(header.header_bytes, payload_bytes));
    std::array<char, 4> key;
    std::copy_n(reinterpret_cast<const char*>(&header.mask_key), 4, key.begin());
    for (std::size_t at = 0; at < payload.size(); ++at) payload[at] = static_cast<char>(payload[at] ^ key[at % 4]);
    if (header.opcode == Opcode::kClose && payload.size() >= 2) {
      const unsigned code = static_cast<std::uint8_t>(payload[0]) * 256U + static_cast<std::uint8_t>(payload[1]);
      payload = std::to_string(code) + ":" + payload.substr(2);
    }
    frames.push_back(frame + payload);
    bytes = bytes.subspan(header.header_bytes + payload_bytes);
  }
  return frames;
}

}  // namespace websockets::session_support
