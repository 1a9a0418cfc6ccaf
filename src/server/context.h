// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/request_parser.h"
#include "loop/loop.h"
#include "net/timer_wheel.h"
#include "server/acceptor.h"
#include "server/admission.h"
#include "server/connection.h"
#include "server/connection_rules.h"
#include "server/hub.h"
#include "server/listeners.h"
#include "server/options.h"
#include "server/refusals.h"
#include "server/stats.h"
#include "websocket/message_rates.h"
#include "websocket/partial_message.h"

namespace websockets {

class Backplane;
class CompressionPool;
class Handler;
class Runner;
class SocketConnection;
class TlsServerContext;

// How many connections other processes have that accept from the same listeners.
class ConnectionBalance {
 public:
  // Whether these are more than this process's share.
  virtual bool is_above_mean(std::size_t connections) = 0;

 protected:
  ~ConnectionBalance() = default;
};

// One server on a loop of its own: its listeners, its connections, what they have in common. Contexts know nothing of
// each other.
class Context final : private LoopOwner, private ReceiverOwner, private AcceptorOwner {
 public:
  // `handler` must outlive the context.
  static Result<std::unique_ptr<Context>> create(const ContextOptions& options, Handler& handler);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const ContextOptions& options() const { return options_; }
  // The loop that serves this context. Every call that may lead to the handler is made within a Loop::Round.
  Loop& loop() { return loop_; }
  // Its open websockets, which leave before on_closed. A Loop::Round is held while it sends.
  Hub& hub() { return hub_; }

  // As Loop::service(), also when another process serves it: then it only waits.
  void service(int timeout_ms);
  // Serves one descriptor that was announced to an outer loop, or any other of this context. Never waits.
  enum class DescriptorStatus : std::uint8_t { kServed, kClosed, kAcceptFailed };
  DescriptorStatus service_descriptor(int fd);

  // A process that was forked serves this context from now on: here all connections and listeners are given up, and the
  // hub sends by `backplane`, which is finished when the context is destroyed.
  void leave_to(std::unique_ptr<Backplane> backplane);
  bool is_served_elsewhere() const { return backplane_ != nullptr; }
  // In that process: what is on the stack will never return. Error: the context cannot be served.
  Error take_over();

  // Ends the connection of this serial number, if its descriptor is open still.
  void terminate(int fd, std::uint32_t serial);
  // Whether there is one.
  bool has_connection(int fd, std::uint32_t serial) const { return find_connection(fd, serial) != nullptr; }

  // The counters, and what is there now. Looks at every connection.
  StatsReport report();

  // Where it listens.
  std::size_t listener_count() const { return is_shutting_down() ? 0 : listeners_.count(); }
  const SocketAddress& address(std::size_t listener) const { return listeners_.address(listener); }
  Listeners& listeners() { return listeners_; }
  // Listeners that are shared are left to the others while this process has more than they. nullptr: there are none.
  void set_balance(ConnectionBalance* balance) { balance_ = balance; }

  // Listens no more, closes the websockets with this code, one after the other, and then shuts down. On connections
  // that are there requests are answered still, one each, or become websockets. A second call does nothing.
  void drain(std::uint64_t duration_ms, std::uint64_t shutdown_ms, CloseCode code);
  // Ends gracefully: listens no more, closes the websockets with this code, lets requests that have begun be answered,
  // and destroys itself when all connections are gone, or after so long. A second call changes how long.
  void shut_down(std::uint64_t timeout_ms, CloseCode code, std::string_view reason);
  bool is_shutting_down() const { return rules_.server.is_shutting_down; }
  // The innermost one that serves it; nullptr: none. It sets itself, and the one before again.
  Runner* runner() const { return runner_; }
  void set_runner(Runner* runner) { runner_ = runner; }

  // Closes everything; callbacks are called. A second time it does nothing. Within a round it may be destroyed, but not
  // deleted.
  void destroy();
  bool is_destroyed() const { return loop_.is_stopped(); }

  // Reads the files of TlsOptions again; connections that come from now on get what they hold. Error: all is as it was.
  Error reload_certificates();

 private:
  // Closes some of the websockets from time to time, and shuts the context down in the end.
  class DrainTimer final : public Timer {
   public:
    explicit DrainTimer(Context& context) : context_(context) {}
    void start(std::uint64_t end_ms, std::uint64_t shutdown_ms, CloseCode code);
    void on_timeout() override;

   private:
    Context& context_;
    std::uint64_t end_ms_ = 0;
    std::uint64_t shutdown_ms_ = 0;
    CloseCode code_ = CloseCode::kServiceRestart;
  };

  // Destroys the context.
  class ShutdownTimer final : public Timer {
   public:
    explicit ShutdownTimer(Context& context) : context_(context) {}
    void on_timeout() override { context_.destroy(); }

   private:
    Context& context_;
  };

  Context(const ContextOptions& options, Handler& handler);
  Error open();
  bool report_refusals();
  void close_share(std::uint64_t of, CloseCode code);
  void end_shutdown();
  void abandon();
  void end_backplane();
  SocketConnection* find_connection(int fd, std::uint32_t serial) const;
  template <typename Function>
  void for_each_connection(Function function);

  bool has_work() const override;
  bool do_work() override;
  void on_served() override;
  void on_round_end() override { end_shutdown(); }

  void on_accepted(UniqueFd fd, const SocketAddress& peer) override;
  void on_turned_away() override { rules_.server.refuse(RefusalReason::kDescriptors, {}); }
  bool has_more_than_others() const override {
    return balance_ != nullptr && balance_->is_above_mean(admission_.total());
  }

  Session* session_of(Receiver& receiver);
  WriteStatus send(Receiver& receiver, PreparedMessage& message) override;
  bool on_broadcast(Receiver& receiver, std::span<const std::uint8_t> data) override;
  void defer_failure(Receiver& receiver, CloseCode code) override;

  ContextOptions options_;
  ContentBudget contents_;
  Handler& handler_;
  pid_t owner_;                            // the process that made it, or was forked to serve it
  std::unique_ptr<TlsServerContext> tls_;  // null: none
  PartialMessagePool partial_messages_;
  Loop loop_;
  Stats stats_;
  Admission admission_;
  MessageRates rates_;
  Refusals refusals_;
  std::unique_ptr<CompressionPool> compression_;  // null: off
  Hub hub_;
  ReceiverList http_connections_;
  ConnectionRules rules_;
  Listeners listeners_;
  ConnectionBalance* balance_ = nullptr;
  std::unique_ptr<Backplane> backplane_;  // to the process that serves it instead
  DrainTimer drain_timer_{*this};
  ShutdownTimer shutdown_timer_{*this};
  Runner* runner_ = nullptr;
};

}  // namespace websockets
