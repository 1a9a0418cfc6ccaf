// SPDX-License-Identifier: MIT
#include "lua/lua_context.h"

#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "lua/default_context.h"
#include "lua/inbox.h"
#include "lua/lua_client.h"
#include "lua/lua_clients.h"
#include "lua/lua_cluster.h"
#include "lua/lua_websocket.h"
#include "lua/lua_workers.h"
#include "lua/push.h"
#include "server/connection.h"
#include "server/context.h"
#include "server/http_exchange.h"
#include "server/options.h"
#include "server/refusals.h"

namespace websockets::lua {
namespace {

// Pushes a function of a websocket, and the websocket as its first argument.
void push_function(lua_State* L, const LuaWebsocket& ws, int slot) {
  lua_rawgeti(L, LuaCalls::kCallbacks, slot);
  lua_rawgeti(L, LuaCalls::kCallbacks, ws.self);
}

// Calls it with so many arguments, unless finalizers have closed the websocket: nothing comes after on_closed.
void call_function(lua_State* L, const Carrier& carrier, int arguments) {
#if LUA_VERSION_NUM == 502
  lua_pushliteral(L, "");  // it collects before it makes something, and what is due then, when the function begins
  lua_pop(L, 1);
#endif
  if (carrier.user != nullptr) lua_call(L, arguments, 0);
}

}  // namespace

LuaContext::LuaContext(SharedState& shared) : options(std::make_unique<ContextOptions>()), shared_(shared) {}

LuaContext::~LuaContext() = default;

bool LuaContext::is_open() const { return context_ != nullptr && !context_->is_destroyed(); }

Loop* LuaContext::loop() { return context_ == nullptr ? nullptr : &context_->loop(); }

Hub& LuaContext::hub() { return context_->hub(); }

StatsReport LuaContext::report() { return context_->report(); }

void LuaContext::terminate(int fd, std::uint32_t serial) { context_->terminate(fd, serial); }

bool LuaContext::is_idle() const {
  return context_->listener_count() == 0 && context_->loop().channel_count() == 0 && !timers_.has_pending() &&
         (clients_ == nullptr || clients_->count() == 0) && !waits_.has_ready();
}

bool LuaContext::in_round() const { return context_ != nullptr && context_->loop().in_round(); }

Error LuaContext::open() {
  const std::unique_ptr<ContextOptions> given = std::move(options);
  callback_table_.begin(given->protocols.size());
  Result<std::unique_ptr<Context>> created = Context::create(*given, *this);
  if (!created) return created.error();
  context_ = std::move(*created);
  if (cluster_options) {
    cluster_ = std::make_unique<LuaCluster>(*this, *cluster_options, given->rules.max_message_bytes);
    cluster_options.reset();
  }
  warn_of_unasked_clients(*given);
  return {};
}

// TLS is not spoken on unix sockets, so that no certificate is asked for there.
void LuaContext::warn_of_unasked_clients(const ContextOptions& given) {
  if (given.tls.ca.empty()) return;
  if (!given.tls.requires_client_certificate) {
    warnings.emplace_back(
        "ssl_ca_path without SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT lets in clients without a certificate");
    return;
  }
  for (std::size_t i = 0; i < context_->listener_count(); ++i) {
    if (!context_->address(i).is_unix()) continue;
    warnings.emplace_back("client certificates are required, but not asked for on unix sockets");
    return;
  }
}

LuaClients& LuaContext::clients() {
  if (clients_ == nullptr) clients_ = std::make_unique<LuaClients>(*this);
  return *clients_;
}

LuaWorkers& LuaContext::workers() {
  if (workers_ == nullptr) workers_ = std::make_unique<LuaWorkers>(*this);
  return *workers_;
}

void LuaContext::detach(LuaWebsocket& ws) {
  Connection& connection = *ws.connection;
  connection.user = nullptr;
  release(ws);
  ws.closed_fd = connection.descriptor();
  ws.closed_serial = static_cast<std::uint32_t>(connection.serial());
}

void LuaContext::release(LuaWebsocket& ws) {
  lua_State* const L = calls_.state();
  const int callbacks = calls_.callbacks();
  ws.connection = nullptr;
  lua_rawgeti(L, callbacks, ws.self);
  lua_rawgeti(L, callbacks, kWeakContext);
  set_user_table(L, -2);
  if (ws.has_inbox) {
    lua_rawgeti(L, callbacks, ws.on_receive);
    inbox_at(L, -1).websocket = nullptr;
    lua_pop(L, 1);
  }
  for (int* slot : {&ws.on_receive, &ws.on_receive_chunk, &ws.on_closed, &ws.on_broadcast, &ws.on_server_writeable,
                    &ws.request, &ws.self}) {
    callback_table_.free_slot(L, callbacks, *slot);
  }
  if (LuaPings::Pings* const pings = pings_.find(ws)) {
    callback_table_.free_slot(L, callbacks, pings->on_pong);
    pings_.remove(ws);
  }
  lua_pop(L, 1);
}

// --- Events ---

bool LuaContext::on_upgrade(Connection& connection, const HttpExchange& exchange,
                            const std::shared_ptr<PendingUpgrade>& pending) {
  return upgrades_.on_upgrade(connection, exchange, pending);
}

bool LuaContext::on_open(Connection& connection, const HttpExchange& exchange) {
  // What the callbacks that were set in on_http ask for.
  if (LuaWebsocket* const ws = websocket_of(connection)) {
    Session& session = *connection.session();
    session.set_chunk_mode(ws->on_receive_chunk != kNoSlot);
    session.set_notifies_drain(ws->on_server_writeable != kNoSlot);
    session.set_notifies_pongs(pings_.find(*ws) != nullptr);
  }
  return upgrades_.on_open(connection, exchange);
}

// One protected call for all of them.
bool LuaContext::on_messages(Session& session, MessageBatch& messages) {
  LuaWebsocket* const ws = websocket_of(session.carrier());
  if (ws == nullptr || ws->on_receive == kNoSlot || ws->has_inbox) return on_messages_to_receive(session, ws, messages);
  MessageBatch::Message message;
  return run(&session.carrier(), [&](lua_State* L) {
    while (session.takes_messages() && messages.next(message)) {
      push_function(L, *ws, ws->on_receive);
      push_text(L, as_text(message.payload));
      lua_pushinteger(L, type_number(message.type));
      call_function(L, session.carrier(), 3);
    }
  });
}

// There is no function for them. Those of a client wait for receive(), those of a server only if there was one.
bool LuaContext::on_messages_to_receive(Session& session, LuaWebsocket* ws, MessageBatch& messages) {
  MessageBatch::Message ignored;
  if (ws == nullptr || (ws->on_receive == kNoSlot && !ws->is_client)) {
    while (messages.next(ignored)) {
    }
    return true;
  }
  return waits_.receive(*ws, session, messages);
}

bool LuaContext::on_chunk(Session& session, MessageType type, std::span<const std::uint8_t> piece, bool is_last) {
  LuaWebsocket* const ws = websocket_of(session.carrier());
  if (ws == nullptr || ws->on_receive_chunk == kNoSlot) return true;
  return run(&session.carrier(), [&](lua_State* L) {
    push_function(L, *ws, ws->on_receive_chunk);
    push_text(L, as_text(piece));
    lua_pushboolean(L, is_last ? 1 : 0);
    lua_pushinteger(L, type_number(type));
    call_function(L, session.carrier(), 4);
  });
}

bool LuaContext::on_broadcast(Connection& connection, std::span<const std::uint8_t> data) {
  LuaWebsocket* const ws = websocket_of(connection);
  if (ws == nullptr || ws->on_broadcast == kNoSlot) return true;
  return run(&connection, [&](lua_State* L) {
    push_function(L, *ws, ws->on_broadcast);
    push_text(L, as_text(data));
    call_function(L, connection, 2);
  });
}

bool LuaContext::on_pong(Session& session, std::span<const std::uint8_t> data) {
  LuaWebsocket* const ws = websocket_of(session.carrier());
  LuaPings::Pings* const pings = ws == nullptr ? nullptr : pings_.find(*ws);
  if (pings == nullptr) return true;
  const std::optional<std::uint64_t> passed_us = pings->log.take(as_text(data), monotonic_us());
  if (pings->on_pong == kNoSlot) return true;
  return run(&session.carrier(), [&](lua_State* L) {
    push_function(L, *ws, pings->on_pong);
    push_text(L, as_text(data));
    if (passed_us) {
      lua_pushnumber(L, static_cast<lua_Number>(*passed_us) / 1e6);
    } else {
      lua_pushnil(L);
    }
    call_function(L, session.carrier(), 3);
  });
}

bool LuaContext::on_drained(Session& session) {
  LuaWebsocket* const ws = websocket_of(session.carrier());
  if (ws == nullptr) return true;
  if (ws->has_waiters) run(nullptr, [&](lua_State* L) { waits_.notify(L, *ws); });
  if (!session.is_open() || !session.carrier().output().empty() || ws->on_server_writeable == kNoSlot) return true;
  return run(&session.carrier(), [&](lua_State* L) {
    push_function(L, *ws, ws->on_server_writeable);
    call_function(L, session.carrier(), 1);
  });
}

void LuaContext::on_closed(Session& session, CloseCode code, std::string_view reason) {
  LuaWebsocket* const ws = websocket_of(session.carrier());
  if (ws == nullptr) return;
  const bool was_ended_here = ws->was_closed_here || session.is_closing() || loop()->is_stopped();
  if (ws->is_flushing && !was_ended_here) run(nullptr, [&](lua_State* L) { waits_.flush(L, *ws); });
  if (ws->on_closed != kNoSlot) {
    run(&session.carrier(), [&](lua_State* L) {
      push_function(L, *ws, ws->on_closed);
      lua_pushinteger(L, static_cast<lua_Integer>(code));
      push_text(L, reason);
      lua_call(L, 3, 0);
    });
  }
  if (ws->has_inbox || ws->has_waiters || !reason.empty()) {
    run(nullptr, [&](lua_State* L) {
      lua_pushnil(L);
      waits_.note_end(L, *ws, reason, !was_ended_here && !ws->was_closed_here);
    });
  }
  detach(*ws);
  ws->close_code = static_cast<int>(code);
}

Session* LuaContext::session_of(Receiver& guest) { return static_cast<LuaClient&>(guest).engine->session(); }

bool LuaContext::on_http(Connection& connection, const Request& request) {
  const bool succeeded = run(nullptr, [&](lua_State* L) {
    LuaWebsocket& ws = push_websocket(L, callback_table_, kCallbacks, connection);
    callback_table_.free_slot(L, kCallbacks, ws.request);  // the one before
  });
  if (!succeeded) return false;
  bool was_interrupted = true;
  const bool has_run = run(&connection, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, kOnHttp);
    if (lua_isfunction(L, -1)) {
      push_websocket(L, callback_table_, kCallbacks, connection);
      push_text(L, request.target());
      lua_call(L, 2, 0);
    }
    was_interrupted = false;
  });
  const HttpExchange* const exchange = connection.http();
  const bool is_answer_due = exchange != nullptr && exchange->awaits_answer() && !exchange->is_deferred();
  return has_run && !(was_interrupted && is_answer_due);
}

void LuaContext::on_add_fd(int fd) { call_with_fd(kOnAddFd, fd); }

void LuaContext::on_del_fd(int fd) { call_with_fd(kOnDelFd, fd); }

void LuaContext::call_with_fd(int slot, int fd) {
  run(nullptr, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, slot);
    if (!lua_isfunction(L, -1)) return;
    lua_pushinteger(L, fd);
    lua_call(L, 1, 0);
  });
}

void LuaContext::on_refused(const Refusal& refusal) {
  run(nullptr, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, kOnRefused);
    const std::string_view reason = kRefusalNames[static_cast<std::size_t>(refusal.reason)];
    push_text(L, reason);
    lua_createtable(L, 0, 6);
    set_text(L, "address", refusal.address);
    if (refusal.status != 0) {
      lua_pushinteger(L, refusal.status);
      lua_setfield(L, -2, "status");
      set_text(L, "message", refusal.message);
    }
    if (!refusal.uri.empty()) set_text(L, "uri", refusal.uri);
    if (!refusal.origin.empty()) set_text(L, "origin", refusal.origin);
    if (calls_.worker() != 0) {
      lua_pushinteger(L, calls_.worker());
      lua_setfield(L, -2, "worker");
    }
    lua_call(L, 2, 0);
  });
}

bool LuaContext::has_work() const {
  return waits_.has_work() || (cluster_ != nullptr && cluster_->backplane().has_work());
}

bool LuaContext::do_work() {
  const bool had_work = cluster_ != nullptr && cluster_->backplane().has_work();
  if (had_work) cluster_->backplane().do_work();
  return waits_.do_work() || had_work;
}

void LuaContext::on_served() { callback_table_.drop_released_payloads(calls_.state(), calls_.callbacks()); }

void LuaContext::on_freed(Connection& connection) { detach(*websocket_of(connection)); }

void LuaContext::on_shut_down(CloseCode code, std::string_view reason) {
  if (clients_ != nullptr) clients_->shut_down(code, reason);
}

void LuaContext::on_destroy() {
  if (clients_ != nullptr) unsent_bytes = clients_->destroy();
  if (cluster_ != nullptr) cluster_->finish();
  if (descriptor_ >= 0) announce(false);
  descriptor_ = -1;
  forget_default_context(*this);
}

// Also in a process that was forked, where nobody is to be told.
void LuaContext::on_abandon() {
  if (descriptor_ >= 0 && !context_->is_destroyed()) announce(false);
  descriptor_ = -1;
  waits_.abandon();
  if (clients_ != nullptr) clients_->abandon();
  if (cluster_ != nullptr) cluster_->abandon();
  forget_default_context(*this);
}

void LuaContext::announce_while_busy() {
  const Result<int> descriptor = loop()->poll_descriptor();
  if (!descriptor) return;
  descriptor_ = *descriptor;
  update_announced();
}

void LuaContext::announce(bool is_watched) {
  if (is_watched == is_announced_) return;
  is_announced_ = is_watched;
  call_with_fd(is_watched ? kOnAddFd : kOnDelFd, descriptor_);
}

}  // namespace websockets::lua
