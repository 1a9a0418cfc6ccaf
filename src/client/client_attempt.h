// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "client/client_connection.h"
#include "client/client_dials.h"
#include "client/client_failure.h"
#include "client/client_handler.h"
#include "client/client_options.h"
#include "client/client_response.h"
#include "client/client_rules.h"
#include "client/opening_handshake.h"
#include "client/redirect.h"
#include "dial/dialer.h"
#include "http/response_parser.h"
#include "http/websocket_url.h"
#include "net/timer_wheel.h"
#include "websocket/frame_writer.h"

namespace websockets {

// What the attempts of all clients of one loop use.
struct AttemptServices {
  Loop& loop;
  ClientDials& dials;
  MaskingKeys& random;
  ClientRulesPool& rules;
  ClientConnectionList& connections;
};

// What an attempt has come to.
struct ClientAnswer {
  ClientResponse response;
  std::shared_ptr<const ClientRules> rules;
  std::unique_ptr<MessageCompression> compression;  // null: not agreed upon
};

class ClientAttemptOwner {
 public:
  // ClientConnection::open_websocket() has to follow at once. The call may throw std::bad_alloc when that is done.
  virtual void on_answered(ClientConnection& connection, ClientAnswer answer) = 0;
  // `retry_after_s`: what the server has asked for.
  virtual void on_attempt_failed(const ClientFailure& failure, std::optional<double> retry_after_s) = 0;

 protected:
  ~ClientAttemptOwner() = default;
};

// One attempt to open a websocket at a time: a connection, the opening request and the answer, through redirects,
// within a deadline. To be disposed of by Loop::dispose().
class ClientAttempt final : private DialerOwner, private ClientOpening, private Timer {
 public:
  // `options` outlive it.
  ClientAttempt(AttemptServices& services, const ClientOptions& options, ClientAttemptOwner& owner)
      : services_(services), options_(options), owner_(owner) {}
  ~ClientAttempt() { abort(); }
  ClientAttempt(const ClientAttempt&) = delete;
  ClientAttempt& operator=(const ClientAttempt&) = delete;

  // Not while one is under way. May call the owner. `deadline_ms`: of monotonic_ms().
  void start(const ClientRequest& request, std::uint64_t deadline_ms);
  // Calls nobody.
  void abort();

 private:
  // What is asked for, and of whom; redirects change it.
  struct Target {
    WebsocketUrl url;
    OpeningOptions opening;
    bool is_foreign = false;  // another origin than the options are for
  };

  void on_dialed(Stream stream, std::string address) override;
  void on_dial_failed(Failure failure) override;
  void on_answer(ClientConnection& connection, std::span<const std::uint8_t>& input) override;
  void on_tls_refused(std::string why) override { tls_refusal_ = std::move(why); }
  void on_answer_ended(bool is_orderly) override;
  void on_timeout() override;

  template <typename Function>
  void or_fail(Function function);
  void dial();
  DialTarget dial_target() const;
  Result<Proxy> proxy() const;
  std::optional<ClientAnswer> judge();
  void follow_or_fail(OpeningVerdict verdict);
  void follow(Redirects::Step step);
  void leave_connection();
  void fail(FailureKind kind, FailurePhase phase, std::string_view why, int error = 0);
  void fail(const ClientFailure& failure, std::optional<double> retry_after_s = {});
  void fail_by_tls();
  void fail_without_memory();

  AttemptServices& services_;
  const ClientOptions& options_;
  ClientAttemptOwner& owner_;
  Target target_;
  std::unique_ptr<ClientDial> dial_;
  ClientConnection* connection_ = nullptr;
  std::string address_;  // that it is connected to
  std::string tls_refusal_;
  std::string key_;
  std::optional<ResponseParser> parser_;
  std::optional<Redirects> redirects_;
  bool had_second_chance_ = false;
};

}  // namespace websockets
