// SPDX-License-Identifier: MIT
// What a connection needs to live without a context: the rules, and a handler that writes down what happens, echoes
// messages, answers requests, and does besides what the test says.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "fake_receiver.h"
#include "http/response.h"
#include "loop_fixture.h"
#include "server/admission.h"
#include "server/connection.h"
#include "server/handler.h"
#include "server/hub.h"
#include "server/pending_upgrade.h"

namespace websockets {

inline constexpr std::string_view kUpgradeRequest =
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// A frame of a client, masked with 0; at most 125 bytes.
inline std::string client_frame(unsigned char first, std::string_view payload) {
  std::string frame{static_cast<char>(first), static_cast<char>(0x80U | payload.size()), 0, 0, 0, 0};
  return frame.append(payload);
}

inline std::string client_text(std::string_view text) { return client_frame(0x81, text); }
inline std::string client_close() { return client_frame(0x88, "\x03\xE8"); }

class FakeServerHandler final : public Handler {
 public:
  explicit FakeServerHandler(Log& log) : log_(log) {}

  bool on_messages(Session& session, MessageBatch& messages) override {
    MessageBatch::Message message;
    for (bool is_first = true; (is_first || session.takes_messages()) && messages.next(message); is_first = false) {
      note("message:" + std::string(as_text(message.payload)));
      if (session.is_open()) session.send(Opcode::kText, true, message.payload);
    }
    return succeeds;
  }
  bool on_chunk(Session&, MessageType, std::span<const std::uint8_t>, bool) override { return note("chunk"); }
  bool on_pong(Session&, std::span<const std::uint8_t>) override { return note("pong"); }
  bool on_drained(Session&) override { return note("drained"); }
  void on_closed(Session&, CloseCode code, std::string_view reason) override {
    note("closed " + std::to_string(static_cast<int>(code)) + (reason.empty() ? "" : ":") + std::string(reason));
  }
  bool on_upgrade(Connection& its, const HttpExchange&, const std::shared_ptr<PendingUpgrade>&) override {
    connection = &its;
    return note("upgrade");
  }
  bool on_open(Connection& its, const HttpExchange&) override {
    connection = &its;
    its.user = this;
    return note("open");
  }
  bool on_broadcast(Connection&, std::span<const std::uint8_t>) override { return note("broadcast"); }
  Session* session_of(Receiver&) override { return guest; }
  bool on_http(Connection& its, const Request& request) override {
    connection = &its;
    its.user = this;
    note("http " + std::string(request.target()));
    if (defers) {
      its.http()->defer();
      return succeeds;
    }
    ResponseHead head;
    its.http()->respond(head, as_bytes("hello"));
    return succeeds;
  }
  void on_refused(const Refusal&) override { note("refused"); }
  bool has_work() const override { return false; }
  bool do_work() override { return false; }
  void on_served() override {}
  void on_freed(Connection&) override {
    connection = nullptr;
    note("freed");
  }
  void on_shut_down(CloseCode code, std::string_view) override {
    endings.push_back("shut down " + std::to_string(static_cast<int>(code)));
  }
  void on_destroy() override { endings.emplace_back("destroy"); }
  void on_abandon() override { endings.emplace_back("abandon"); }
  void on_add_fd(int) override {}
  void on_del_fd(int) override {}
  void release_payload(int) override {}

  Connection* connection = nullptr;  // the last one
  std::vector<std::string> endings;  // of the context
  Session* guest = nullptr;          // of whatever subscribes to topics beside connections
  std::function<void(const std::string&)> action = [](const std::string&) {};
  bool defers = false;  // answers
  bool succeeds = true;

 private:
  bool note(const std::string& event) {
    log_.push_back(event);
    action(event);
    return succeeds;
  }

  Log& log_;
};

class ConnectionFixture : public LoopFixture {
 protected:
  static ContextOptions default_options() {
    ContextOptions options;
    options.protocols = {"chat"};
    options.default_protocol = "chat";
    options.max_connections = 2;
    return options;
  }

  std::uint64_t refused(RefusalReason reason) const { return stats.refused[static_cast<std::size_t>(reason)]; }
  std::size_t open_websockets() const { return hub.subprotocols()[0].open; }

  ContextOptions options = default_options();
  FakeServerHandler handler{log};
  PeerAddress peer = *PeerAddress::parse("192.0.2.1");
  Stats stats;
  Admission admission{options.max_connections, options.max_connections_per_address, options.trusted_proxies};
  Refusals refusals;
  MessageRates rates{{}};
  PartialMessagePool partial_messages;
  FakeReceiverOwner receiver_owner;
  Hub hub{options, receiver_owner, loop().memory()};
  ReceiverList http_connections;
  ConnectionRules rules{{options, stats, loop().output_pool(), admission, refusals, hub},
                        {options.rules, options.keepalive, options.max_backpressure_bytes, options.close_timeout_ms,
                         FrameWriter(loop().output_pool()), handler, loop().memory(), stats, rates},
                        handler,
                        hub,
                        http_connections};
};

}  // namespace websockets
