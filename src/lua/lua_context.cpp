// SPDX-License-Identifier: MIT
#include "lua/lua_context.h"

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "lua/describe_error.h"
#include "lua/guarded.h"
#include "lua/interruption.h"
#include "lua/lua_websocket.h"
#include "lua/push.h"
#include "server/connection.h"
#include "server/context.h"
#include "server/http_exchange.h"
#include "server/options.h"
#include "server/refusals.h"

namespace websockets::lua {
namespace {

struct ProtectedCall {
  void (*function)(lua_State*, void*);
  void* argument;
  bool has_begun = false;
};

int trampoline(lua_State* L) {
  auto* call = static_cast<ProtectedCall*>(lua_touserdata(L, 1));
  call->has_begun = true;
  call->function(L, call->argument);
  return 0;
}

// Makes the error a string with a traceback. So what still ends like an interruption is one.
int message_handler(lua_State* L) {
  lua_settop(L, 1);
  if (is_interruption(L, 1)) return 1;
  describe_error(L, 1);
#if LUA_VERSION_NUM >= 502 || defined(LUAJIT_VERSION_NUM) || defined(LUA_JITLIBNAME)
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
#else
  if (!lua_isfunction(L, lua_upvalueindex(1))) {
    lua_pushfstring(L, "%s\n(no traceback)", lua_tostring(L, 1));
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 2);
  lua_call(L, 2, 1);
#endif
  return 1;
}

// Pushes a function of a websocket, and the websocket as its first argument.
void push_function(lua_State* L, const LuaWebsocket& ws, int slot) {
  lua_rawgeti(L, LuaContext::kCallbacks, slot);
  lua_rawgeti(L, LuaContext::kCallbacks, ws.self);
}

// Calls it with so many arguments, unless finalizers have closed the websocket: nothing comes after on_closed.
void call_function(lua_State* L, const Connection& connection, int arguments) {
#if LUA_VERSION_NUM == 502
  lua_pushliteral(L, "");  // it collects before it makes something, and what is due then, when the function begins
  lua_pop(L, 1);
#endif
  if (connection.user != nullptr) lua_call(L, arguments, 0);
}

LuaWebsocket* websocket_of(Connection& connection) { return static_cast<LuaWebsocket*>(connection.user); }

// The values of WRITE_TEXT and WRITE_BINARY.
lua_Integer type_number(MessageType type) { return type == MessageType::kText ? 0 : 1; }

}  // namespace

void push_trampoline(lua_State* L) { lua_pushcfunction(L, trampoline); }

void push_message_handler(lua_State* L) {
#if LUA_VERSION_NUM == 501
  lua_getglobal(L, "debug");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "traceback");
    lua_remove(L, -2);
  }
  lua_pushcclosure(L, message_handler, 1);
#else
  lua_pushcfunction(L, message_handler);
#endif
}

// --- Ways in ---

LuaContext::Entry::Entry(LuaContext& context, lua_State* L, int callbacks)
    : context_(context), outer_(std::exchange(context.entry_, this)), L_(L) {
  lua_pushvalue(L, callbacks);
  callbacks_ = lua_gettop(L);
  lua_rawgeti(L, callbacks_, kMessageHandler);
  message_handler_ = callbacks_ + 1;
  if (context.context_ == nullptr) return;
  in_round_ = context.context_.get();
  in_round_->enter();
}

LuaContext::Entry::~Entry() {
  if (in_round_ != nullptr) in_round_->leave();  // may call back
  if (outer_ == nullptr) {
    context_.drop_released_payloads(L_, callbacks_);
    if (!context_.is_open()) context_.timers_.stop_all(L_, callbacks_);
  }
  lua_settop(L_, callbacks_ - 1);
  context_.entry_ = outer_;
}

LuaContext::LuaContext() : options(std::make_unique<ContextOptions>()) {}

LuaContext::~LuaContext() = default;

bool LuaContext::is_open() const { return context_ != nullptr && !context_->is_destroyed(); }

Hub& LuaContext::hub() { return context_->hub(); }

StatsReport LuaContext::report() { return context_->report(); }

void LuaContext::terminate(int fd, std::uint32_t serial) { context_->terminate(fd, serial); }

bool LuaContext::in_round() const { return context_ != nullptr && context_->in_round(); }

Error LuaContext::open() {
  const std::unique_ptr<ContextOptions> given = std::move(options);
  slot_count_ = kFirstProtocol + static_cast<int>(given->protocols.size()) - 1;
  Result<std::unique_ptr<Context>> created = Context::create(*given, *this);
  if (!created) return created.error();
  context_ = std::move(*created);
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

void LuaContext::set_slot(lua_State* L, int callbacks, int& slot) {
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return free_slot(L, callbacks, slot);
  }
  if (slot != kNoSlot) return lua_rawseti(L, callbacks, slot);
  if (first_free_slot_ == kNoSlot) {
    lua_rawseti(L, callbacks, slot_count_ + 1);
    slot = ++slot_count_;
    return;
  }
  lua_rawgeti(L, callbacks, first_free_slot_);
  slot = std::exchange(first_free_slot_, static_cast<int>(lua_tointeger(L, -1)));
  lua_pop(L, 1);
  lua_rawseti(L, callbacks, slot);
}

void LuaContext::free_slot(lua_State* L, int callbacks, int& slot) {
  if (slot == kNoSlot) return;
  lua_pushinteger(L, first_free_slot_);
  lua_rawseti(L, callbacks, slot);
  first_free_slot_ = std::exchange(slot, kNoSlot);
}

int LuaContext::keep_payload(lua_State* L, int callbacks, int index) {
  drop_released_payloads(L, callbacks);
  guarded(L, [&] {
    const std::size_t needed = kept_payloads_ + 1;
    if (released_payloads_.capacity() < needed) released_payloads_.reserve(2 * needed);
  });
  int slot = kNoSlot;
  lua_pushvalue(L, index);
  set_slot(L, callbacks, slot);
  ++kept_payloads_;
  return slot;
}

void LuaContext::drop_released_payloads(lua_State* L, int callbacks) {
  for (; !released_payloads_.empty(); released_payloads_.pop_back()) {
    free_slot(L, callbacks, released_payloads_.back());
    --kept_payloads_;
  }
}

// --- Ways out ---

bool LuaContext::call_protected(Connection* connection, void (*function)(lua_State*, void*), void* argument) {
  lua_State* const L = entry_->L_;
  ProtectedCall call{function, argument};
  for (;;) {
    lua_rawgeti(L, entry_->callbacks_, kTrampoline);
    lua_pushlightuserdata(L, &call);
    lua_pushvalue(L, entry_->callbacks_);
    if (lua_pcall(L, 2, 0, entry_->message_handler_) == 0) return true;
    if (!take_interruption()) break;
    if (call.has_begun) return true;  // the hook is called before the function, too
  }
  report_error(connection);
  return false;
}

// Takes the error on top of the stack, if it is one. The first one is kept.
bool LuaContext::take_interruption() {
  lua_State* const L = entry_->L_;
  if (!ends_with_interrupted(L, -1)) return false;
  if (std::exchange(is_interrupted_, true)) {
    lua_pop(L, 1);
  } else {
    lua_rawseti(L, entry_->callbacks_, kInterruption);
  }
  return true;
}

void LuaContext::raise_now(lua_State* L, int callbacks) {
  is_interrupted_ = false;
  lua_rawgeti(L, callbacks, kInterruption);
  lua_pushboolean(L, 0);
  lua_rawseti(L, callbacks, kInterruption);
  raise_by_hook(L);
}

void LuaContext::call(int function) {
  lua_State* const L = entry_->L_;
  lua_pushvalue(L, function);
  if (lua_pcall(L, 0, 0, entry_->message_handler_) != 0 && !take_interruption()) report_error(nullptr);
}

void LuaContext::report_warning(int text) {
  lua_pushvalue(entry_->L_, text);
  report_error(nullptr, "");
}

// Takes the error on top of the stack to on_error, or to stderr.
void LuaContext::report_error(Connection* connection, const char* what) {
  lua_State* const L = entry_->L_;
  const int error = lua_gettop(L);
  // It may have lost its websocket meanwhile, and that its memory.
  const LuaWebsocket* const ws = connection == nullptr ? nullptr : websocket_of(*connection);
  struct Report {
    int self;
    bool was_taken;
  } report{ws == nullptr ? kNoSlot : ws->self, false};
  ProtectedCall call{[](lua_State* inner, void* argument) {
                       auto& taken = *static_cast<Report*>(argument);
                       lua_rawgeti(inner, kCallbacks, kOnError);
                       if (!lua_isfunction(inner, -1)) return;
                       lua_pushvalue(inner, 3);
                       if (taken.self == kNoSlot) {
                         lua_pushnil(inner);
                       } else {
                         lua_rawgeti(inner, kCallbacks, taken.self);
                       }
                       lua_call(inner, 2, 0);
                       taken.was_taken = true;
                     },
                     &report};
  lua_rawgeti(L, entry_->callbacks_, kTrampoline);
  lua_pushlightuserdata(L, &call);
  lua_pushvalue(L, entry_->callbacks_);
  lua_pushvalue(L, error);
  const bool failed = lua_pcall(L, 3, 0, entry_->message_handler_) != 0 && !take_interruption();
  // The message handler made strings of both; if memory was short, what is there may be something else.
  const auto show = [L](int index, const char* kind) {
    static_cast<void>(std::fprintf(stderr, "websockets: %s%s\n", kind,
                                   lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "not enough memory"));
  };
  if (failed || !report.was_taken) show(error, what);
  if (failed) show(-1, "error in a callback: ");
  lua_settop(L, error - 1);
}

void LuaContext::push_blank_websocket(lua_State* L) { push_object<LuaWebsocket>(L); }

LuaWebsocket& LuaContext::push_websocket(lua_State* L, int callbacks, Connection& connection) {
  if (LuaWebsocket* const ws = websocket_of(connection)) {
    lua_rawgeti(L, callbacks, ws->self);
    return *ws;
  }
  push_blank_websocket(L);
  return attach_websocket(L, callbacks, connection);
}

// Makes the blank websocket on top of the stack that of the connection, or puts in its place the one that it has.
LuaWebsocket& LuaContext::attach_websocket(lua_State* L, int callbacks, Connection& connection) {
  if (LuaWebsocket* const ws = websocket_of(connection)) {
    lua_pop(L, 1);
    lua_rawgeti(L, callbacks, ws->self);
    return *ws;
  }
  auto* const ws = find_object<LuaWebsocket>(L, -1);
  lua_pushvalue(L, callbacks);
  set_user_table(L, -2);
  lua_pushvalue(L, -1);
  set_slot(L, callbacks, ws->self);
  ws->connection = &connection;
  connection.user = ws;
  return *ws;
}

// The connection has no more to tell; the userdata may live on.
void LuaContext::detach(LuaWebsocket& ws) {
  lua_State* const L = entry_->L_;
  const int callbacks = entry_->callbacks_;
  Connection& connection = *ws.connection;
  connection.user = nullptr;
  ws.connection = nullptr;
  lua_rawgeti(L, callbacks, ws.self);
  lua_rawgeti(L, callbacks, kWeakContext);
  set_user_table(L, -2);
  for (int* slot : {&ws.on_receive, &ws.on_receive_chunk, &ws.on_closed, &ws.on_broadcast, &ws.on_server_writeable,
                    &ws.request, &ws.self}) {
    free_slot(L, callbacks, *slot);
  }
  if (LuaPings::Pings* const pings = pings_.find(ws)) {
    free_slot(L, callbacks, pings->on_pong);
    pings_.remove(ws);
  }
  lua_pop(L, 1);
  ws.closed_fd = connection.fd();
  ws.closed_serial = static_cast<std::uint32_t>(connection.serial());
}

// --- Events ---

// One protected call for all of them.
bool LuaContext::on_messages(Connection& connection, MessageBatch& messages) {
  LuaWebsocket* const ws = websocket_of(connection);
  MessageBatch::Message message;
  if (ws == nullptr || ws->on_receive == kNoSlot) {
    while (messages.next(message)) {
    }
    return true;
  }
  return run(&connection, [&](lua_State* L) {
    while (connection.takes_messages() && messages.next(message)) {
      push_function(L, *ws, ws->on_receive);
      push_text(L, as_text(message.payload));
      lua_pushinteger(L, type_number(message.type));
      call_function(L, connection, 3);
    }
  });
}

bool LuaContext::on_chunk(Connection& connection, MessageType type, std::span<const std::uint8_t> piece, bool is_last) {
  LuaWebsocket* const ws = websocket_of(connection);
  if (ws == nullptr || ws->on_receive_chunk == kNoSlot) return true;
  return run(&connection, [&](lua_State* L) {
    push_function(L, *ws, ws->on_receive_chunk);
    push_text(L, as_text(piece));
    lua_pushboolean(L, is_last ? 1 : 0);
    lua_pushinteger(L, type_number(type));
    call_function(L, connection, 4);
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

bool LuaContext::on_pong(Connection& connection, std::span<const std::uint8_t> data) {
  LuaWebsocket* const ws = websocket_of(connection);
  LuaPings::Pings* const pings = ws == nullptr ? nullptr : pings_.find(*ws);
  if (pings == nullptr) return true;
  const std::optional<std::uint64_t> passed_us = pings->log.take(as_text(data), monotonic_us());
  if (pings->on_pong == kNoSlot) return true;
  return run(&connection, [&](lua_State* L) {
    push_function(L, *ws, pings->on_pong);
    push_text(L, as_text(data));
    if (passed_us) {
      lua_pushnumber(L, static_cast<lua_Number>(*passed_us) / 1e6);
    } else {
      lua_pushnil(L);
    }
    call_function(L, connection, 3);
  });
}

bool LuaContext::on_drained(Connection& connection) {
  LuaWebsocket* const ws = websocket_of(connection);
  if (ws == nullptr || ws->on_server_writeable == kNoSlot) return true;
  return run(&connection, [&](lua_State* L) {
    push_function(L, *ws, ws->on_server_writeable);
    call_function(L, connection, 1);
  });
}

void LuaContext::on_closed(Connection& connection, CloseCode code, std::string_view reason) {
  LuaWebsocket* const ws = websocket_of(connection);
  if (ws == nullptr) return;
  if (ws->on_closed != kNoSlot) {
    run(&connection, [&](lua_State* L) {
      push_function(L, *ws, ws->on_closed);
      lua_pushinteger(L, static_cast<lua_Integer>(code));
      push_text(L, reason);
      lua_call(L, 3, 0);
    });
  }
  detach(*ws);
}

bool LuaContext::on_http(Connection& connection, const Request& request) {
  const bool succeeded = run(nullptr, [&](lua_State* L) {
    LuaWebsocket& ws = push_websocket(L, kCallbacks, connection);
    free_slot(L, kCallbacks, ws.request);  // the one before
  });
  if (!succeeded) return false;
  bool was_interrupted = true;
  const bool has_run = run(&connection, [&](lua_State* L) {
    lua_rawgeti(L, kCallbacks, kOnHttp);
    if (lua_isfunction(L, -1)) {
      push_websocket(L, kCallbacks, connection);
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

void LuaContext::call_with_fd(Slot slot, int fd) {
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
    lua_createtable(L, 0, 5);
    set_text(L, "address", refusal.address);
    if (refusal.status != 0) {
      lua_pushinteger(L, refusal.status);
      lua_setfield(L, -2, "status");
      set_text(L, "message", refusal.message);
    }
    if (!refusal.uri.empty()) set_text(L, "uri", refusal.uri);
    if (!refusal.origin.empty()) set_text(L, "origin", refusal.origin);
    lua_call(L, 2, 0);
  });
}

void LuaContext::on_served() { drop_released_payloads(entry_->L_, entry_->callbacks_); }

void LuaContext::on_freed(Connection& connection) { detach(*websocket_of(connection)); }

}  // namespace websockets::lua
