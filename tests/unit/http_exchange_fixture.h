// SPDX-License-Identifier: MIT
// What an HTTP exchange needs to live without a socket: a carrier that writes down what it is told, and asks the test
// what the server's owner does.
#pragma once

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/memory_budget.h"
#include "base/output_queue.h"
#include "failing_allocations.h"
#include "fake_receiver.h"
#include "net/socket_address.h"
#include "server/admission.h"
#include "server/http_exchange.h"
#include "server/hub.h"

namespace websockets {

class FakeHttpCarrier final : public HttpCarrier {
 public:
  explicit FakeHttpCarrier(OutputPool& pool) : pool_(pool) {}
  ~FakeHttpCarrier() { queue_.clear(pool_); }
  FakeHttpCarrier(const FakeHttpCarrier&) = delete;
  FakeHttpCarrier& operator=(const FakeHttpCarrier&) = delete;

  OutputQueue& output() override { return queue_; }
  void output_added() override {
    EXPECT_FALSE(queue_.empty());
    is_output_announced = true;
  }
  bool flush_now() override { return false; }
  void reading_changed() override { ++reading_changes; }
  void receive_now() override {}
  void defer() override { ++deferred; }
  void set_deadline(std::uint64_t wait_ms) override { deadline_ms = wait_ms; }
  void cancel_deadline() override {}
  void end(End how) override {
    ends.push_back(how);
    if (how == End::kNow) queue_.clear(pool_);
    exchange->on_ended();
  }
  void session_closed() override {}

  const PeerAddress& peer() const override { return address; }
  bool set_peer(const PeerAddress& peer) override {
    address = peer;
    if (!admits) exchange->refuse(AdmissionVerdict::kTooManyOfAddress);
    return admits;
  }
  bool is_tls() const override { return uses_tls; }
  bool on_http(const Request& request) override {
    {
      const FailingAllocation::Pause pause;
      requests.emplace_back(request.target());
    }
    return on_request(request);
  }
  bool on_upgrade(const std::shared_ptr<PendingUpgrade>& pending) override { return on_upgrade_asked(pending); }
  void open_websocket(const Subprotocol& subprotocol, std::unique_ptr<MessageCompression>) override {
    websocket = subprotocol.name;
    exchange.reset();
  }

  // What has been queued since this was asked last, but for the lines that tell the date. It would not leave unless the
  // carrier is told of it, or ends.
  std::string sent() {
    EXPECT_TRUE(queue_.empty() || is_output_announced || !ends.empty());
    is_output_announced = false;
    std::string all;
    while (!queue_.empty()) {
      std::array<iovec, 16> parts;
      const std::size_t count = queue_.gather(parts, 1U << 20U);
      std::size_t bytes = 0;
      for (std::size_t i = 0; i < count; ++i) {
        all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
        bytes += parts[i].iov_len;
      }
      queue_.consume(pool_, bytes);
    }
    for (std::size_t at = all.find("Date: "); at != std::string::npos; at = all.find("Date: ")) {
      all.erase(at, all.find('\n', at) + 1 - at);
    }
    return all;
  }

  // All of it leaves.
  void flush() { queue_.clear(pool_); }

  std::unique_ptr<HttpExchange> exchange;
  std::function<bool(const Request&)> on_request;
  std::function<bool(const std::shared_ptr<PendingUpgrade>&)> on_upgrade_asked;
  PeerAddress address = *PeerAddress::parse("192.0.2.1");
  bool uses_tls = false;
  bool admits = true;

  std::vector<std::string> requests;  // their targets
  std::vector<End> ends;
  std::optional<std::uint64_t> deadline_ms;  // the last one
  int deferred = 0;
  int reading_changes = 0;
  bool is_output_announced = false;  // since sent()
  std::string websocket;             // the subprotocol of the one that it became

 private:
  OutputPool& pool_;
  OutputQueue queue_;
};

class HttpExchangeTest : public testing::Test {
 protected:
  HttpExchangeTest() { restart(); }

  static ContextOptions default_options() {
    ContextOptions options;
    options.protocols = {"chat"};
    return options;
  }

  HttpExchange& exchange() { return *carrier.exchange; }
  // Options of requests hold from here on.
  void restart() {
    carrier.exchange = std::make_unique<HttpExchange>(carrier, rules);
    carrier.exchange->start();
  }

  // Gives all of it while the exchange takes it. Returns what it has left.
  std::string feed(std::string_view text) {
    std::vector<std::uint8_t> bytes(text.begin(), text.end());
    std::span<std::uint8_t> input(bytes);
    while (carrier.exchange != nullptr && exchange().takes_input() && !input.empty()) {
      Budget budget;
      exchange().consume(input, budget);
    }
    return {input.begin(), input.end()};
  }

  // For FakeHttpCarrier::on_request.
  std::function<bool(const Request&)> respond_with(std::string body) {
    return [this, body = std::move(body)](const Request&) {
      ResponseHead head;
      exchange().respond(head, as_bytes(body));
      return true;
    };
  }

  std::uint64_t refused(RefusalReason reason) const { return stats.refused[static_cast<std::size_t>(reason)]; }

  ContextOptions options = default_options();
  MemoryBudget memory{0};
  OutputPool pool{memory};
  Stats stats;
  Admission admission{0, 0, options.trusted_proxies};
  Refusals refusals;
  FakeReceiverOwner owner;
  Hub hub{options, owner, memory};
  ServerRules rules{options, stats, pool, admission, refusals, hub};
  FakeHttpCarrier carrier{pool};
};

}  // namespace websockets
