// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "server/handler.h"

namespace websockets {

// Of a context whose owner has nothing to do.
class QuietHandler : public Handler {
 public:
  bool on_upgrade(Connection&, const HttpExchange&, const std::shared_ptr<PendingUpgrade>&) override { return false; }
  bool on_open(Connection&, const HttpExchange&) override { return true; }
  bool on_messages(Session&, MessageBatch&) override { return true; }
  bool on_chunk(Session&, MessageType, std::span<const std::uint8_t>, bool) override { return true; }
  bool on_pong(Session&, std::span<const std::uint8_t>) override { return true; }
  bool on_drained(Session&) override { return true; }
  void on_closed(Session&, CloseCode, std::string_view) override {}
  bool on_broadcast(Connection&, std::span<const std::uint8_t>) override { return true; }
  Session* session_of(Receiver&) override { return nullptr; }
  bool on_http(Connection&, const Request&) override { return true; }
  void on_refused(const Refusal&) override {}
  bool has_work() const override { return false; }
  bool do_work() override { return false; }
  void on_served() override {}
  void on_freed(Connection&) override {}
  void on_shut_down(CloseCode, std::string_view) override {}
  void on_destroy() override {}
  void on_abandon() override {}
  void on_add_fd(int) override {}
  void on_del_fd(int) override {}
  void release_payload(int) override {}
};

}  // namespace websockets
