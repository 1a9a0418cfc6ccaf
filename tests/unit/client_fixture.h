// SPDX-License-Identifier: MIT
// What clients need to live without a network: a dialer whose connections are socket pairs, with the server's end in
// the hands of the test, and a handler that writes down what happens, and does then what the test says.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "client/clients.h"
#include "failing_allocations.h"
#include "loop_fixture.h"
#include "protocol_support.h"
#include "session_fixture.h"
#include "websocket/handshake.h"

namespace websockets {

// The server's end of a connection.
class FarEnd {
 public:
  explicit FarEnd(UniqueFd fd) : fd_(std::move(fd)) { make_nonblocking(fd_.get()); }

  int fd() const { return fd_.get(); }
  void say(std::string_view text) { write_all(fd_.get(), text); }
  void close() { fd_.reset(); }
  void reset() { close_with_reset(fd_); }

  // What has come since; has_ended() afterwards: no more will.
  std::string heard() {
    const FailingAllocation::Pause pause;
    std::string all;
    std::array<char, 65536> some;
    for (;;) {
      const ssize_t got = ::recv(fd_.get(), some.data(), some.size(), MSG_DONTWAIT);
      if (got <= 0) {
        has_ended_ = has_ended_ || got == 0;
        return all;
      }
      all.append(some.data(), static_cast<std::size_t>(got));
    }
  }
  bool has_ended() {
    const FailingAllocation::Pause pause;
    rest_ += heard();
    return has_ended_;
  }

  // The opening request, which has come.
  const std::string& request() {
    const FailingAllocation::Pause pause;
    if (request_.empty()) {
      rest_ += heard();
      const std::size_t end = rest_.find("\r\n\r\n");
      EXPECT_NE(end, std::string::npos) << rest_;
      request_ = rest_.substr(0, end + 4);
      rest_.erase(0, end + 4);
    }
    return request_;
  }
  std::string header(const std::string& name) {
    const std::size_t at = request().find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 4;
    return request().substr(begin, request().find("\r\n", begin) - begin);
  }
  // The answer that grants it, with further headers, each with its CR LF.
  std::string grant(std::string_view headers = {}) {
    const FailingAllocation::Pause pause;
    std::string answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    answer += "Sec-WebSocket-Accept: " + accept_key(header("Sec-WebSocket-Key")) + "\r\n";
    return answer.append(headers).append("\r\n");
  }
  void open(std::string_view headers = {}) { say(grant(headers)); }
  // What has come behind the request, in words: see frames_in().
  Log frames() {
    const FailingAllocation::Pause pause;
    request();
    const std::string bytes = std::exchange(rest_, {}) + heard();
    return session_support::frames_in(as_bytes(bytes));
  }

 private:
  UniqueFd fd_;
  std::string rest_;
  std::string request_;
  bool has_ended_ = false;
};

// A frame of a server; at most 125 bytes.
inline std::string server_frame(unsigned char first, std::string_view payload) {
  std::string frame{static_cast<char>(first), static_cast<char>(payload.size())};
  return frame.append(payload);
}
inline std::string server_text(std::string_view text) { return server_frame(0x81, text); }
inline std::string server_close(unsigned code, std::string_view reason = {}) {
  const std::string body{static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
  return server_frame(0x88, body + std::string(reason));
}

// Connects to socket pairs, at once, later, or never.
class FakeDials final : public ClientDials {
 public:
  struct Dial final : ClientDial {
    Dial(FakeDials& its_dials, DialerOwner& its_owner) : dials(its_dials), owner(its_owner) { ++dials.alive; }
    ~Dial() override { --dials.alive; }
    void start() override { dials.on_start(*this); }
    FailurePhase phase() const override { return dials.phase; }
    std::string address() const override { return "192.0.2.9:80"; }

    FakeDials& dials;
    DialerOwner& owner;
  };

  std::unique_ptr<ClientDial> dial(DialTarget target, DialerOwner& owner) override {
    auto made = std::make_unique<Dial>(*this, owner);
    const FailingAllocation::Pause pause;
    targets.push_back(std::move(target));
    latest = made.get();
    return made;
  }

  // The connection is there.
  static void connect(Dial& dial) {
    std::optional<Stream> stream;
    {
      const FailingAllocation::Pause pause;
      SocketPair pair = local_pair();
      dial.dials.far.emplace_back(std::move(pair.far));
      stream.emplace(std::move(pair.near));
    }
    dial.owner.on_dialed(std::move(*stream), "192.0.2.1:80");
  }
  static void refuse(Dial& dial) {
    Failure failure;
    failure.kind = FailureKind::kRefused;
    failure.phase = FailurePhase::kTcp;
    failure.message = "refused";
    dial.owner.on_dial_failed(std::move(failure));
  }

  std::function<void(Dial&)> on_start = connect;
  FailurePhase phase = FailurePhase::kTcp;
  std::vector<DialTarget> targets;
  Dial* latest = nullptr;  // of no meaning once it has an end
  int alive = 0;
  std::vector<FarEnd> far;
};

class FakeClientHandler final : public ClientHandler, public SessionHandler {
 public:
  explicit FakeClientHandler(Log& log) : log_(log) {}

  std::function<void(Client&, const std::string&)> action = [](Client&, const std::string&) {};
  std::function<void(ClientRequest&)> on_request = [](ClientRequest&) {};
  std::optional<double> seconds;  // in place of what on_retry() is told
  double told_seconds = 0;
  bool succeeds = true;
  ClientFailure failure;  // the last one

  const char* on_attempt(Client& client, ClientRequest& request) override {
    on_request(request);
    return note(client, "attempt") ? nullptr : "the owner failed";
  }
  bool on_open(Client& client) override { return note(client, "open"); }
  bool on_retry(Client& client, double& its_seconds, const ClientFailure& its_failure) override {
    told_seconds = its_seconds;
    if (seconds) its_seconds = *seconds;
    keep(its_failure);
    return note(client, "retry " + describe(its_failure));
  }
  void on_client_closed(Client& client, CloseCode code, std::string_view reason,
                        const ClientFailure& its_failure) override {
    const FailingAllocation::Pause pause;
    keep(its_failure);
    std::string event = "closed " + std::to_string(static_cast<int>(code));
    if (!reason.empty()) event.append(" ").append(reason);
    note(client, event + (its_failure ? " " + describe(its_failure) : ""));
  }
  void on_client_freed(Client& client) override { note(client, "freed"); }

  bool on_messages(Session& session, MessageBatch& messages) override {
    MessageBatch::Message message;
    for (bool is_first = true; (is_first || session.takes_messages()) && messages.next(message); is_first = false) {
      note(of(session), "message:" + text_of(message.payload));
    }
    return succeeds;
  }
  bool on_chunk(Session& session, MessageType, std::span<const std::uint8_t> piece, bool) override {
    return note(of(session), "chunk:" + text_of(piece));
  }
  bool on_pong(Session& session, std::span<const std::uint8_t> payload) override {
    return note(of(session), "pong:" + text_of(payload));
  }
  bool on_drained(Session& session) override { return note(of(session), "drained"); }
  void on_closed(Session&, CloseCode, std::string_view) override { ADD_FAILURE() << "on_closed of a session"; }

 private:
  static Client& of(Session& session) { return *static_cast<Client*>(session.carrier().user); }
  static std::string text_of(std::span<const std::uint8_t> bytes) {
    const FailingAllocation::Pause pause;
    return std::string(as_text(bytes));
  }
  static std::string describe(const ClientFailure& its_failure) {
    const FailingAllocation::Pause pause;
    std::string text(name_of(its_failure.kind));
    if (its_failure.phase != FailurePhase::kNone) text.append(" ").append(name_of(its_failure.phase));
    return text;
  }
  void keep(const ClientFailure& its_failure) {
    const FailingAllocation::Pause pause;
    failure = its_failure;
  }
  bool note(Client& client, const std::string& event) {
    {
      const FailingAllocation::Pause pause;
      log_.push_back(event);
    }
    action(client, event);
    return succeeds;
  }

  Log& log_;
};

class ClientFixture : public LoopFixture {
 protected:
  ClientFixture() { restart(); }
  ~ClientFixture() override { end(); }

  void restart() {
    end();
    clients_.emplace(loop(), dials, handler, static_cast<SessionHandler&>(handler));
  }
  Clients& clients() { return *clients_; }
  void end() {
    if (!clients_) return;
    handler.action = [](Client&, const std::string&) {};
    {
      const Loop::Round round(loop());
      clients_->destroy();
    }
    settle();
    clients_.reset();
  }

  Client& connect() { return connect(options); }
  Client& connect(const ClientOptions& its_options) {
    Client& client = clients_->connect(its_options, nullptr);
    client.set_user(&client);
    return client;
  }
  // One that is open; what happened is not in the log any more.
  Client& open() {
    Client& client = connect();
    settle();
    far().open();
    settle();
    EXPECT_EQ(take_log(), Log{"open"});
    return client;
  }
  // The last connection.
  FarEnd& far() { return dials.far.back(); }
  // Until the event has come.
  void await(const std::string& event) {
    while (std::find(log.begin(), log.end(), event) == log.end()) loop().service(-1);
  }

  ClientOptions options = default_options();
  FakeDials dials;
  FakeClientHandler handler{log};

 private:
  static ClientOptions default_options() {
    ClientOptions options;
    options.url = "ws://example.org/feed";
    return options;
  }

  std::optional<Clients> clients_;
};

}  // namespace websockets
