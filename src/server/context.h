// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/budget.h"
#include "base/memory_budget.h"
#include "base/output_queue.h"
#include "base/result.h"
#include "loop/watcher.h"
#include "net/driver.h"
#include "net/io_batch.h"
#include "net/timer_wheel.h"
#include "server/admission.h"
#include "server/connection.h"
#include "server/handler.h"
#include "server/hub.h"
#include "server/options.h"
#include "server/refusals.h"
#include "server/server_rules.h"
#include "server/stats.h"
#include "websocket/message_rates.h"
#include "websocket/partial_message.h"

namespace websockets {

class Acceptor;
class Runner;
class TlsServerContext;

// One server: its listeners, its connections, and the loop that serves them. Contexts know nothing of each other.
class Context final : private ReadyHandler, private ReceiverOwner {
 public:
  // `handler` must outlive the context.
  static Result<std::unique_ptr<Context>> create(const ContextOptions& options, Handler& handler);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Serves what is outstanding. 0: does not wait; above: waits at most so long, and returns as soon as something was
  // served; below: waits without end. A signal ends the wait. May be called from within a callback.
  void service(int timeout_ms);

  // Serves one descriptor that was announced to an outer loop, or any other of this context. Never waits.
  enum class DescriptorStatus : std::uint8_t { kServed, kClosed, kAcceptFailed };
  DescriptorStatus service_descriptor(int fd);

  // A descriptor that is readable while service(0) has something to do; Error: this system has none.
  Result<int> poll_descriptor();
  // For how long service() may be left uncalled when that descriptor is not readable, in milliseconds; -1: without end.
  int idle_ms();

  const ContextOptions& options() const { return options_; }

  // A process that was forked serves this context from now on: here all connections and listeners are given up, and the
  // hub sends by `backplane`, which is finished when the context is destroyed.
  void leave_to(std::unique_ptr<Backplane> backplane);
  bool is_served_elsewhere() const { return backplane_ != nullptr; }
  // In that process: what is on the stack will never return. Error: the context cannot be served.
  Error take_over();
  // Watches a descriptor of the library's own in the own loop, which has to be there. False with errno set: it cannot
  // be.
  bool watch_internal(Pollable& pollable);
  void unwatch_internal(Pollable& pollable);

  // Its open websockets, which leave before on_closed. A Round is held while it sends.
  Hub& hub() { return hub_; }
  // Ends the connection of this serial number, if its descriptor is open still.
  void terminate(int fd, std::uint32_t serial);

  std::size_t connection_count() const { return connection_count_; }

  // What has happened, and what is there. Looks at every connection.
  StatsReport report();

  // For timers of the owner, whose on_timeout() may do anything; times are those of monotonic_ms().
  void schedule_at(Timer& timer, std::uint64_t time_ms);
  void cancel(Timer& timer) { timers_.cancel(timer); }

  // Where it listens.
  std::size_t listener_count() const { return rules_.is_shutting_down ? 0 : acceptors_.size(); }
  const SocketAddress& address(std::size_t listener) const;

  // Ends gracefully: listens no more, closes the websockets with this code, lets requests that have begun be answered,
  // and destroys itself when all connections are gone, or after so long. A second call changes how long.
  void shut_down(std::uint64_t timeout_ms, CloseCode code, std::string_view reason);
  bool is_shutting_down() const { return rules_.is_shutting_down; }
  // The innermost one that serves it; nullptr: none.
  Runner* runner() const { return runner_; }

  // Closes everything; callbacks are called. A second time it does nothing.
  void destroy();
  bool is_destroyed() const { return destroyed_; }

  // Reads the files of TlsOptions again; connections that come from now on get what they hold. Error: all is as it was.
  Error reload_certificates();

  // While one exists, connections that were closed stay in memory: their code may be on the stack. What is written
  // meanwhile leaves at the end of the outermost one. Whoever calls what may call the handler holds one.
  class Round {
   public:
    explicit Round(Context& context) : context_(context) { context_.enter(); }
    ~Round() { context_.leave(); }
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;

   private:
    Context& context_;
  };
  // What a Round does, for an owner who cannot have one as a member.
  void enter() { ++depth_; }
  void leave() {
    if (depth_ == 1) end_round();
    --depth_;
  }
  // It may be destroyed then, but not deleted.
  bool in_round() const { return depth_ > 0; }

 private:
  friend class Connection;
  friend class Acceptor;
  friend class Runner;

  Context(const ContextOptions& options, Handler& handler);
  Error open();
  Error listen();
  void adopt(UniqueFd fd, const SocketAddress& peer);
  void refuse(RefusalReason reason, const RefusedClient& client) { rules_.refuse(reason, client); }
  bool report_refusals();
  bool serve_once(int timeout_ms);
  int wait_ms(std::uint64_t deadline_ms);
  Error open_own_loop(bool pollable_driver);
  bool serve_timers_and_work();
  void set_wake_time();
  void abandon();
  void end_backplane();
  void end_shutdown();
  template <typename Function>
  void for_each_list(Function function) {
    function(http_connections_);
    for (const Subprotocol& subprotocol : hub_.subprotocols()) function(subprotocol.receivers);
  }
  template <typename Function>
  void for_each_connection(Function function) {
    for_each_list([&](const ReceiverList& list) {
      for (Receiver* receiver = list.first(); receiver != nullptr; receiver = ReceiverList::next(*receiver)) {
        function(static_cast<Connection&>(*receiver));
      }
    });
  }
  WriteStatus send(Receiver& receiver, PreparedMessage& message) override;
  bool on_broadcast(Receiver& receiver, std::span<const std::uint8_t> data) override;
  void defer_failure(Receiver& receiver, CloseCode code) override;
  void end_round();  // throws nothing, however short memory is

  // batch.cpp
  Error find_batch();
  void on_ready(std::span<const Ready> group) override;
  bool deliver_received();
  bool has_undelivered() const { return delivered_ < received_.size(); }
  void flush_connections();
  void flush_batch(BorrowedBatch batch);

  // turns.cpp
  bool has_turns() const { return !turns_.empty() || !inflating_.empty(); }
  bool run_deferred();
  bool take_turns();
  void take_turn();
  void go_on_inflating();

  bool has_something_to_do() const {
    return !with_work_.empty() || !refusals_.empty() || has_turns() || !to_flush_.empty() || has_undelivered();
  }
  void enforce_memory_limit();
  void shed_largest();
  void free_closed();
  void free(Connection& connection);

  // For connections and acceptors.
  void schedule(Timer& timer, std::uint64_t timeout_ms);
  void register_descriptor(Pollable& pollable);
  void forget_descriptor(const Pollable& pollable);
  Pollable* find_descriptor(int fd) const;  // nullptr: it is not of this context
  void cork(Connection& connection);
  void defer(Connection& connection);
  // For what takes long: few connections have their turn in a round, so that all the others wait for these only.
  void turn_later(Connection& connection);
  void inflate_later(Connection& connection);
  void note_sent(std::size_t bytes);
  // So much, or for so long, since the last turns, that who has much to be sent has to wait for a turn.
  bool has_sent_much() const { return in_round() && sent_bytes_ >= kMuchBytes; }
  // What one connection may do with its input: little when the others have done much since the last turns.
  class WorkShare {
   public:
    explicit WorkShare(Context& context)
        : budget(std::clamp(context.round_budget_.left(), kQuantum / 5, kQuantum)),
          context_(context),
          all_(budget.left()) {}
    ~WorkShare() { context_.round_budget_.spend(all_ - budget.left()); }
    WorkShare(const WorkShare&) = delete;
    WorkShare& operator=(const WorkShare&) = delete;

    Budget budget;

   private:
    Context& context_;
    std::uint32_t all_;
  };
  void note_much_sent() { sent_bytes_ = std::max(sent_bytes_, kMuchBytes); }
  void begin_round() {
    sent_bytes_ = 0;
    round_budget_ = Budget(kWorkPerRound);
  }
  void free_later(Connection& connection);

  static constexpr std::uint32_t kWorkPerRound = 2 * kQuantum;
  static constexpr std::size_t kMuchBytes = 256U << 10U;
  static constexpr std::size_t kReceiveBytes = 256U << 10U;
  using ReceiveBuffer = std::array<std::uint8_t, kReceiveBytes>;
  std::unique_ptr<ReceiveBuffer> borrow_receive_buffer();
  void give_back(std::unique_ptr<ReceiveBuffer> buffer);

  ContextOptions options_;
  ContentBudget contents_;
  Handler& handler_;
  pid_t owner_;                            // the process that made it, or was forked to serve it
  std::unique_ptr<TlsServerContext> tls_;  // null: none
  Watcher watcher_;
  std::vector<Pollable*> descriptors_;  // by number
  std::uint64_t now_ms_;
  TimerWheel timers_;
  MemoryBudget memory_;
  OutputPool output_pool_;
  PartialMessagePool partial_messages_;
  Stats stats_;
  Admission admission_;
  MessageRates rates_;
  Refusals refusals_;
  std::unique_ptr<CompressionPool> compression_;  // null: off
  struct Received {
    Pollable* pollable;
    IoResult result;
    std::span<std::uint8_t> input;
  };
  std::vector<Received> received_;  // by the batch that is in use
  std::size_t delivered_ = 0;       // of received_
  std::size_t batch_from_;          // so many connections have to be ready to make a batch worth while
  std::unique_ptr<ReceiveBuffer> spare_receive_buffer_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  Hub hub_;
  ServerRules rules_;
  std::unique_ptr<Backplane> backplane_;  // to the process that serves it instead
  ReceiverList http_connections_;
  ConnectionQueue<&Connection::next_to_flush_> to_flush_;
  ConnectionQueue<&Connection::next_with_turn_> turns_;
  // Those that are decompressing a message: the first one until it is complete, so that one only holds more than comes
  // out in a turn.
  ConnectionQueue<&Connection::next_inflating_> inflating_;
  ConnectionQueue<&Connection::next_with_work_> with_work_;
  ConnectionQueue<&Connection::next_with_work_> closed_;  // to be freed, as are those in with_work_ that were closed
  bool has_closed_ = false;                               // in one of them
  // Destroys the context.
  class ShutdownTimer final : public Timer {
   public:
    explicit ShutdownTimer(Context& context) : context_(context) {}
    void on_timeout() override { context_.destroy(); }

   private:
    Context& context_;
  };
  ShutdownTimer shutdown_timer_{*this};
  Runner* runner_ = nullptr;
  std::vector<Pollable*> internal_;   // what watch_internal() was given
  std::size_t connection_count_ = 0;  // that have a descriptor
  std::size_t served_ = 0;            // descriptors, since the last turns
  std::size_t sent_bytes_ = 0;        // likewise
  Budget round_budget_{kWorkPerRound};
  int depth_ = 0;
  bool destroyed_ = false;
};

}  // namespace websockets
