// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cluster/cluster_options.h"
#include "lua/callback_table.h"
#include "lua/compat.h"
#include "lua/lua_calls.h"
#include "lua/lua_pings.h"
#include "lua/lua_timers.h"
#include "lua/lua_waits.h"
#include "lua/upgrade_events.h"
#include "server/handler.h"

namespace websockets {
class Carrier;
class Context;
class Hub;
class Loop;
struct ContextOptions;
struct StatsReport;
}  // namespace websockets

namespace websockets::lua {

class LuaClients;
class LuaCluster;
class LuaWorkers;
struct LuaWebsocket;
struct SharedState;

// What lies behind a context's userdata: the engine's context, and the way from its events to Lua functions.
class LuaContext final : public Handler {
 public:
  // `shared` outlives it.
  explicit LuaContext(SharedState& shared);
  ~LuaContext();
  LuaContext(const LuaContext&) = delete;
  LuaContext& operator=(const LuaContext&) = delete;

  std::unique_ptr<ContextOptions> options;        // until open()
  std::optional<ClusterOptions> cluster_options;  // likewise; nothing: there is no cluster
  bool skips_canonical_name = false;
  std::size_t unsent_bytes = 0;       // that clients had accepted when the context was destroyed
  std::vector<std::string> warnings;  // about the configuration, to be told once it is open

  Error open();
  bool is_open() const;
  bool in_round() const;
  // Nothing could ever happen, but a signal: it listens nowhere, and has no connection and no timer. It is open.
  bool is_idle() const;
  SharedState& shared() { return shared_; }
  const SharedState& shared() const { return shared_; }
  // Another loop watches the descriptor that stands for all, but only while the context is not idle: on_add_fd and
  // on_del_fd are called accordingly, if this system has such a descriptor. Within an Entry.
  void announce_while_busy();
  bool is_announced_while_busy() const { return descriptor_ >= 0; }
  // What may have ended, or begun, its being idle has happened. Within an Entry.
  void update_announced() {
    if (descriptor_ >= 0) announce(is_open() && !is_idle());
  }
  Context& context() { return *context_; }
  // So that their callers need not know a context.
  Loop* loop();  // null: it was not opened
  Hub& hub();
  StatsReport report();
  void terminate(int fd, std::uint32_t serial);
  // Made when they are first asked for. Throws std::bad_alloc.
  LuaClients& clients();
  bool has_clients() const { return clients_ != nullptr; }
  LuaCluster* cluster() const { return cluster_.get(); }  // null: it is in none
  LuaWorkers& workers();
  LuaWorkers* find_workers() const { return workers_.get(); }  // null: nobody has asked for them
  // The websocket has no more to tell; the userdata may live on. Within an Entry.
  void release(LuaWebsocket& ws);
  CallbackTable& callback_table() { return callback_table_; }
  LuaCalls& calls() { return calls_; }
  const LuaCalls& calls() const { return calls_; }
  LuaTimers& timers() { return timers_; }
  LuaPings& pings() { return pings_; }
  LuaWaits& waits() { return waits_; }
  UpgradeEvents& upgrades() { return upgrades_; }

  bool on_upgrade(Connection& connection, const HttpExchange& exchange,
                  const std::shared_ptr<PendingUpgrade>& pending) override;
  bool on_open(Connection& connection, const HttpExchange& exchange) override;
  bool on_messages(Session& session, MessageBatch& messages) override;
  bool on_chunk(Session& session, MessageType type, std::span<const std::uint8_t> piece, bool is_last) override;
  bool on_pong(Session& session, std::span<const std::uint8_t> payload) override;
  bool on_drained(Session& session) override;
  void on_closed(Session& session, CloseCode code, std::string_view reason) override;
  bool on_broadcast(Connection& connection, std::span<const std::uint8_t> data) override;
  Session* session_of(Receiver& guest) override;
  bool on_http(Connection& connection, const Request& request) override;
  void on_refused(const Refusal& refusal) override;
  bool has_work() const override;
  bool do_work() override;
  void on_served() override;
  void on_freed(Connection& connection) override;
  void on_shut_down(CloseCode code, std::string_view reason) override;
  void on_destroy() override;
  void on_abandon() override;
  void on_add_fd(int fd) override;
  void on_del_fd(int fd) override;
  void release_payload(int handle) override { callback_table_.release_payload(handle); }

 private:
  static constexpr int kCallbacks = LuaCalls::kCallbacks;

  template <typename Whose, typename Body>
  bool run(Whose whose, Body body) {
    return calls_.run(whose, body);
  }
  bool on_messages_to_receive(Session& session, LuaWebsocket* ws, MessageBatch& messages);
  void call_with_fd(int slot, int fd);
  void warn_of_unasked_clients(const ContextOptions& given);
  void detach(LuaWebsocket& ws);
  void announce(bool is_watched);

  SharedState& shared_;
  CallbackTable callback_table_;
  std::unique_ptr<Context> context_;  // behind that, which takes back the payloads of its queues
  LuaCalls calls_;
  LuaTimers timers_{*this};
  LuaPings pings_;
  LuaWaits waits_{*this};
  int descriptor_ = -1;        // that is announced while the context is not idle; -1: none
  bool is_announced_ = false;  // it is now
  UpgradeEvents upgrades_{calls_, callback_table_};
  std::unique_ptr<LuaClients> clients_;  // behind the context, whose loop they use; null: there never was one
  std::unique_ptr<LuaCluster> cluster_;  // likewise
  std::unique_ptr<LuaWorkers> workers_;  // null: nobody has asked for them
};

}  // namespace websockets::lua
