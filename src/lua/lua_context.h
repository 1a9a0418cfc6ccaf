// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lua/compat.h"
#include "lua/lua_pings.h"
#include "lua/lua_timers.h"
#include "server/handler.h"

namespace websockets {
class Context;
class Hub;
struct ContextOptions;
struct StatsReport;
}  // namespace websockets

namespace websockets::lua {

struct LuaWebsocket;

// What lies behind a context's userdata: the engine's context, and the way from its events to Lua functions.
//
// The functions, and the userdata of open websockets, are in one table, the callbacks table, which only the userdata of
// the context and of its websockets refer to: so cycles can be collected. No lua_State is kept: whoever calls
// the engine from Lua opens an Entry, which says what state to run callbacks in.
class LuaContext final : public Handler {
 public:
  // The places of the callbacks table that have a fixed meaning; the functions of the protocols follow, then free
  // slots.
  enum Slot : int {
    kNoSlot = 0,
    kContext,         // the userdata of the context itself
    kWeakContext,     // a table that refers to it, but does not keep it
    kTrampoline,      // runs a C++ function in protected mode
    kMessageHandler,  // adds a traceback to an error
    kOnHttp,
    kOnError,
    kOnAddFd,
    kOnDelFd,
    kOnUpgrade,
    kInterruption,  // the error that raise_interruption() raises
    kOnRefused,
    kFirstProtocol,
  };

  // Within a protected function: the callbacks table is its second argument.
  static constexpr int kCallbacks = 2;

  // While it lives, events reach Lua by this state. Nothing may raise a Lua error meanwhile.
  class Entry {
   public:
    // `callbacks` is the stack index of the callbacks table. Needs room for 8 values on the stack.
    Entry(LuaContext& context, lua_State* L, int callbacks);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    friend class LuaContext;
    LuaContext& context_;
    Entry* outer_;
    Context* in_round_ = nullptr;  // of which this is a Round
    lua_State* L_;
    int callbacks_;        // stack index
    int message_handler_;  // stack index
  };

  LuaContext();
  ~LuaContext();
  LuaContext(const LuaContext&) = delete;
  LuaContext& operator=(const LuaContext&) = delete;

  std::unique_ptr<ContextOptions> options;  // until open()
  bool skips_canonical_name = false;
  bool keeps_requests = false;
  std::vector<std::string> warnings;  // about the configuration, to be told once it is open

  Error open();
  bool is_open() const;
  bool in_round() const;
  Context& context() { return *context_; }
  // What of it needs no more than this.
  Hub& hub();
  StatsReport report();
  void terminate(int fd, std::uint32_t serial);
  LuaTimers& timers() { return timers_; }
  LuaPings& pings() { return pings_; }

  // Within an Entry: the state, the index of the callbacks table, and a call of the function at an index, whose errors
  // go to on_error.
  lua_State* state() const { return entry_->L_; }
  int callbacks() const { return entry_->callbacks_; }
  void call(int function);

  // A callback was interrupted by lua.c's handler of SIGINT, which is not the callback's fault: its error goes on,
  // through the function that has led to the callback, once everybody was served.
  bool is_interrupted() const { return is_interrupted_; }
  // Raises that error, if there is one. Not within an Entry of the same call.
  void raise_interruption(lua_State* L, int callbacks) {
    if (is_interrupted_) raise_now(L, callbacks);
  }
  // Takes the string at an index to on_error, or to stderr.
  void report_warning(int text);

  // Puts the value on top of the stack, which is taken, into a slot of the callbacks table; `slot` is kNoSlot when it
  // had none yet. nil frees the slot. May raise, but leaves all as it was then.
  void set_slot(lua_State* L, int callbacks, int& slot);
  // Never raises.
  void free_slot(lua_State* L, int callbacks, int& slot);

  bool on_upgrade(Connection& connection, const HttpExchange& exchange,
                  const std::shared_ptr<PendingUpgrade>& pending) override;
  bool on_open(Connection& connection, const HttpExchange& exchange) override;
  bool on_messages(Connection& connection, MessageBatch& messages) override;
  bool on_chunk(Connection& connection, MessageType type, std::span<const std::uint8_t> piece, bool is_last) override;
  bool on_broadcast(Connection& connection, std::span<const std::uint8_t> data) override;
  bool on_pong(Connection& connection, std::span<const std::uint8_t> data) override;
  bool on_drained(Connection& connection) override;
  void on_closed(Connection& connection, CloseCode code, std::string_view reason) override;
  bool on_http(Connection& connection, const Request& request) override;
  void on_refused(const Refusal& refusal) override;
  void on_served() override;
  void on_freed(Connection& connection) override;
  void on_add_fd(int fd) override;
  void on_del_fd(int fd) override;
  void release_payload(int handle) override { released_payloads_.push_back(handle); }

  // Keeps the string at `index` until the payload is released. May raise, but leaves all as it was then.
  int keep_payload(lua_State* L, int callbacks, int index);

  // Pushes the request of a websocket that is not closed, nil when there is none any more.
  void push_request_of(lua_State* L, int callbacks, LuaWebsocket& ws);
  // Pushes the userdata of a websocket that has no connection yet. May run finalizers, which may do anything.
  static void push_blank_websocket(lua_State* L);
  // The request at `index` is that of the websocket which the connection is about to become. Takes a blank websocket
  // from the top of the stack, to be used when the connection has none. Runs no finalizers.
  void keep_request(lua_State* L, int callbacks, Connection& connection, int index);

 private:
  // A connection whose protocol's function is being called.
  struct Opening {
    const Connection* connection;
    const HttpExchange* exchange;
    const Opening* outer;
  };

  // `connection`: whose callback it is, if any.
  template <typename Body>
  bool run(Connection* connection, Body body) {
    return call_protected(
        connection, [](lua_State* L, void* argument) { (*static_cast<Body*>(argument))(L); }, &body);
  }
  bool call_protected(Connection* connection, void (*function)(lua_State*, void*), void* argument);
  bool take_interruption();
  [[noreturn]] void raise_now(lua_State* L, int callbacks);
  void report_error(Connection* connection, const char* what = "error in a callback: ");
  void call_with_fd(Slot slot, int fd);
  void warn_of_unasked_clients(const ContextOptions& given);
  // Within a Round: it may run finalizers.
  LuaWebsocket& push_websocket(lua_State* L, int callbacks, Connection& connection);
  LuaWebsocket& attach_websocket(lua_State* L, int callbacks, Connection& connection);
  void detach(LuaWebsocket& ws);
  const HttpExchange* exchange_of(Connection& connection) const;
  void drop_released_payloads(lua_State* L, int callbacks);

  std::unique_ptr<Context> context_;
  LuaTimers timers_{*this};
  LuaPings pings_;
  Entry* entry_ = nullptr;
  const Opening* opening_ = nullptr;
  bool is_interrupted_ = false;
  std::size_t kept_payloads_ = 0;
  std::vector<int> released_payloads_;  // slots that are to be freed; there is room for all that are kept
  int slot_count_ = 0;                  // slots ever used
  int first_free_slot_ = kNoSlot;       // each free slot holds the number of the next
};

// The functions that a context keeps in kTrampoline and kMessageHandler.
void push_trampoline(lua_State* L);
void push_message_handler(lua_State* L);

}  // namespace websockets::lua
