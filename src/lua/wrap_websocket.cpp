// SPDX-License-Identifier: MIT
// The methods of a websocket.
#include "lua/wrap_websocket.h"

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "files/serve_file.h"
#include "lua/check_bytes.h"
#include "lua/constants.h"
#include "lua/lua_clients.h"
#include "lua/push_delivery.h"
#include "lua/resumption.h"
#include "lua/user_fields.h"
#include "lua/wrap_client.h"
#include "lua/wrap_context.h"
#include "lua/wrap_outer_loop.h"
#include "lua/wrap_ping.h"
#include "lua/wrap_receive.h"
#include "lua/wrap_respond.h"
#include "lua/wrap_topics.h"
#include "lua/wrap_websocket_state.h"
#include "net/resolver.h"
#include "server/http_exchange.h"
#include "server/hub.h"
#include "websocket/close_code.h"
#include "websocket/protocol_error.h"
#include "websocket/utf8.h"

namespace websockets::lua {
namespace {

// --- Sending ---

constexpr std::size_t kMaxReasonBytes = kMaxControlPayloadBytes - 2;

// The data of WRITE_CLOSE is a Close frame's body (RFC 6455 5.5.1): two bytes of code, then the reason.
CloseBody check_close_body(lua_State* L, std::string_view body) {
  luaL_argcheck(L, body.size() != 1 && body.size() <= kMaxControlPayloadBytes, 2,
                "a close frame's body is a code of 2 bytes and at most 123 bytes of text");
  CloseBody parsed;
  const ProtocolError error = parse_close_body(as_bytes(body), parsed);
  luaL_argcheck(L, error != ProtocolError::kInvalidCloseCode, 2, "a close code that may not be sent");
  luaL_argcheck(L, error == ProtocolError::kNone, 2, "a close reason must be UTF-8");
  if (body.empty()) parsed.code = CloseCode::kNone;
  return parsed;
}

int write_close(lua_State* L, Session& session, std::string_view body) {
  const CloseBody parsed = check_close_body(L, body);
  WriteStatus status{};
  guarded(L, [&] { status = session.send_close(parsed.code, as_text(parsed.reason)); });
  return push_write_status(L, status);
}

int write_http(lua_State* L, const LuaWebsocket& ws, std::span<const std::uint8_t> data) {
  HttpExchange* const exchange = http_of(ws);
  luaL_argcheck(L, exchange != nullptr, 3, "WRITE_HTTP is for on_http only");
  if (!exchange->awaits_answer() && !exchange->is_raw()) return push_failure(L, "already answered");
  with_entry(L, ws, [&] { exchange->write_raw(data); });
  return push_status(L, 0);
}

// Control frames may come between the fragments of a message; another message may not (RFC 6455 5.4).
Opcode check_opcode(lua_State* L, bool is_fragmenting, int type, std::size_t bytes) {
  switch (type) {
    case kWriteText:
    case kWriteBinary:
      luaL_argcheck(L, !is_fragmenting, 3, "a fragmented message is not finished yet");
      return type == kWriteText ? Opcode::kText : Opcode::kBinary;
    case kWriteContinuation:
      luaL_argcheck(L, is_fragmenting, 3, "there is no fragmented message to continue");
      return Opcode::kContinuation;
    case kWritePing:
    case kWritePong:
      luaL_argcheck(L, bytes <= kMaxControlPayloadBytes, 2, "a ping or pong has at most 125 bytes");
      return type == kWritePing ? Opcode::kPing : Opcode::kPong;
    default:
      luaL_argerror(L, 3, "unknown type");
      return Opcode::kText;
  }
}

// Whose connection may be about to be made.
int write_to_client(lua_State* L, const LuaWebsocket& ws, int type, bool fin, std::span<const std::uint8_t> data) {
  luaL_argcheck(L, type != kWriteHttp, 3, "WRITE_HTTP is for on_http only");
  Client& client = *ws.client->engine;
  WriteStatus status{};
  if (type == kWriteClose) {
    const CloseBody body = check_close_body(L, as_text(data));
    with_entry(L, ws, [&] { status = client.send_close(body.code, as_text(body.reason)); });
    return push_write_status(L, ws, status);
  }
  const Opcode opcode = check_opcode(L, client.is_fragmenting(), type, data.size());
  guarded(L, [&] { status = client.send(opcode, fin, data); });
  return push_write_status(L, ws, status);
}

int write(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const std::span<const std::uint8_t> data = check_bytes(L, 2);
  const lua_Integer flags = luaL_optinteger(L, 3, kWriteText);
  const bool fin = (flags & kWriteNoFin) == 0;
  luaL_argcheck(L, flags >= 0 && (flags & ~(kWriteNoFin | kWriteClientIgnoreXorMask)) <= kWritePong, 3, "unknown type");
  const int type = static_cast<int>(flags & ~(kWriteNoFin | kWriteClientIgnoreXorMask));
  luaL_argcheck(L, fin || type <= kWriteContinuation, 3, "only messages can be fragmented");
  if (is_closed(ws)) return push_failure(L, "closed");

  if (ws.is_client) return write_to_client(L, ws, type, fin, data);
  if (type == kWriteHttp) return write_http(L, ws, data);
  Session* const session = ws.connection->session();
  luaL_argcheck(L, session != nullptr, 3, "only WRITE_HTTP can be written in on_http");
  if (type == kWriteClose) return write_close(L, *session, as_text(data));
  const Opcode opcode = check_opcode(L, session->is_fragmenting(), type, data.size());
  LuaContext& context = context_of(*ws.connection);
  const bool is_pinned = data.size() >= kPinnedBytes;
  const int handle = is_pinned ? context.callback_table().pin_payload(L, push_callbacks(L), 2) : 0;
  WriteStatus status{};
  guarded(L, [&] {
    PinnedPayload pinned = is_pinned ? PinnedPayload(context, handle) : PinnedPayload();
    status = session->send(opcode, fin, data, std::move(pinned));
  });
  return push_write_status(L, status);
}

int broadcast(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const std::span<const std::uint8_t> data = check_bytes(L, 2);
  if (is_closed(ws)) return push_failure(L, "closed");
  if (ws.is_client) return luaL_error(L, "websocket broadcast is not for clients");
  if (!ws.connection->is_open()) return push_failure(L, "closed");
  DeliveryStatus status{};
  with_entry(L, ws, [&] {
    Hub& hub = context_of(ws).hub();
    status = hub.broadcast(hub.subprotocol_of(*ws.connection), data);
  });
  return push_delivery(L, status);
}

int serve_http_file(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  std::size_t path_bytes;
  const char* path = luaL_checklstring(L, 2, &path_bytes);
  if (std::strlen(path) != path_bytes) path = "";  // no file has a zero in its name
  const std::string_view type = as_text(check_bytes(L, 3));
  luaL_argcheck(L, is_valid_header("Content-Type", type), 3, "a header's value has no control characters");
  if (is_closed(ws)) return push_failure(L, "closed");
  HttpExchange* const exchange = http_of(ws);
  if (exchange == nullptr) return luaL_error(L, "websocket serve_http_file is for on_http only");
  if (!exchange->awaits_answer()) return push_failure(L, "already answered");
  bool served = false;
  with_entry(L, ws, [&] { served = serve_file(*exchange, path, type); });
  return served ? push_status(L, 0) : push_failure(L, "not found");
}

int defer(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  if (is_closed(ws)) return 0;
  HttpExchange* const exchange = http_of(ws);
  if (exchange == nullptr) return luaL_error(L, "websocket defer is for on_http only");
  exchange->defer();
  return 0;
}

// --- Callbacks ---

void set_callback(lua_State* L, LuaWebsocket& ws, int& slot) {
  const int callbacks = push_callbacks(L);
  lua_pushvalue(L, 2);
  context_of(ws).callback_table().set_slot(L, callbacks, slot);
}

// False: there is no session yet that could be told.
bool set_chunk_mode(const LuaWebsocket& ws, bool enabled) {
  if (ws.is_client) {
    ws.client->engine->set_chunk_mode(enabled);
    return true;
  }
  Session* const session = ws.connection->session();
  if (session != nullptr) session->set_chunk_mode(enabled);
  return session != nullptr;
}

int on_receive(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (ws.resumes) make_noting_receiver(L);
  if (is_closed(ws)) return 0;
  give_up_inbox(L, ws);
  set_callback(L, ws, ws.on_receive);
  if (set_chunk_mode(ws, false)) return 0;
  context_of(ws).callback_table().free_slot(L, push_callbacks(L), ws.on_receive_chunk);  // the last one counts
  return 0;
}

int on_receive_chunk(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (is_closed(ws)) return 0;
  give_up_inbox(L, ws);
  set_callback(L, ws, ws.on_receive_chunk);
  set_chunk_mode(ws, true);
  return 0;
}

int on_closed(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (!is_closed(ws)) set_callback(L, ws, ws.on_closed);
  return 0;
}

int on_server_writeable(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (is_closed(ws)) return 0;
  set_callback(L, ws, ws.on_server_writeable);
  if (ws.is_client) {
    ws.client->engine->set_notifies_drain(true);
  } else if (Session* const session = ws.connection->session()) {
    session->set_notifies_drain(true);
  }
  return 0;
}

int on_broadcast(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  lua_settop(L, 2);
  BroadcastMode mode = BroadcastMode::kCallback;
  if (!lua_isfunction(L, 2)) {
    const double number = lua_type(L, 2) == LUA_TNUMBER ? static_cast<double>(lua_tonumber(L, 2)) : -1;
    const int type = number == 0 || number == 1 ? static_cast<int>(number) : -1;
    if (type != kWriteText && type != kWriteBinary) {
      return luaL_error(L, "websocket on_broadcast value not supported");
    }
    mode = type == kWriteText ? BroadcastMode::kForwardText : BroadcastMode::kForwardBinary;
    lua_pushnil(L);
    lua_replace(L, 2);
  }
  if (is_closed(ws)) return 0;
  if (ws.is_client) return luaL_error(L, "websocket on_broadcast is not for clients");
  set_callback(L, ws, ws.on_broadcast);
  ws.connection->set_broadcast_mode(mode);
  return 0;
}

// --- Ending ---

int close(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  const CloseArguments arguments = check_close_arguments(L, 2, CloseCode::kNone);
  if (is_closed(ws)) {
    drop_unread(L, ws);
    return 0;
  }
  ws.was_closed_here = true;
  with_entry(L, ws, [&] {
    ws.is_client ? ws.client->engine->close(arguments.code, arguments.reason)
                 : ws.connection->close(arguments.code, arguments.reason);
  });
  return 0;
}

// What it had queued when it was closed may be leaving still.
int terminate_closed(lua_State* L, LuaWebsocket& ws) {
  drop_unread(L, ws);
  int callbacks = push_callbacks(L);
  LuaContext* const context = ws.closed_serial == 0 ? nullptr : find_context(L, callbacks);
  if (context == nullptr) return 0;
  enter(L, *context, callbacks, [&] {
    ws.is_client ? context->clients().terminate(ws.closed_fd, ws.closed_serial)
                 : context->terminate(ws.closed_fd, ws.closed_serial);
  });
  return 0;
}

int terminate(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  if (ws.connection == nullptr) return terminate_closed(L, ws);
  ws.was_closed_here = true;
  with_entry(L, ws, [&] { ws.is_client ? ws.client->engine->terminate() : ws.connection->terminate(); });
  return 0;
}

// --- Asking ---

int get_socket_fd(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  return push_status(L, is_closed(ws) ? -1 : descriptor_of(ws));
}

PeerAddress peer_of(const LuaWebsocket& ws) {
  if (!ws.is_client) return ws.connection->peer();
  SocketAddress address;
  address.size = sizeof address.storage;
  const bool is_connected = ::getpeername(ws.client->engine->descriptor(), address.get(), &address.size) == 0;
  return is_connected ? PeerAddress(address) : PeerAddress();
}

int get_peer_addresses(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  std::array<char, 1025> name{};  // NI_MAXHOST
  std::array<char, 64> ip{};
  if (!is_closed(ws)) {
    guarded(L, [&] {
      const PeerAddress peer = peer_of(ws);
      reverse_name(peer).copy(name.data(), name.size() - 1);
      peer.text().copy(ip.data(), ip.size() - 1);
    });
  }
  lua_pushstring(L, name.data());
  lua_pushstring(L, ip.data());
  return 2;
}

int remaining_packet_payload(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  const Session* const session = is_closed(ws) ? nullptr : session_of(ws);
  lua_pushnumber(L, static_cast<lua_Number>(session == nullptr ? 0 : session->remaining_frame_bytes()));
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, static_cast<lua_Integer>(lua_tonumber(L, -1)));
#endif
  return 1;
}

int buffered_amount(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  std::size_t bytes = 0;
  if (!is_closed(ws)) bytes = ws.is_client ? ws.client->engine->buffered_bytes() : ws.connection->buffered_bytes();
  lua_pushinteger(L, static_cast<lua_Integer>(bytes));
  return 1;
}

int rx_flow_control(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  bool enabled = lua_toboolean(L, 2) != 0;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    enabled = lua_tonumber(L, 2) != 0;
  } else {
    luaL_checktype(L, 2, LUA_TBOOLEAN);
  }
  if (is_closed(ws)) return push_status(L, 1);
  ws.is_paused = !enabled;
  with_entry(L, ws, [&] { apply_reading(ws); });
  return push_status(L, 0);
}

int service(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  check_revents(L, 2);
  if (is_closed(ws)) return push_status(L, 0);
  const int callbacks = push_callbacks(L);
  return serve_descriptor(L, context_of(ws), callbacks, descriptor_of(ws));
}

int request(lua_State* L) {
  LuaWebsocket& ws = check_websocket(L);
  if (is_closed(ws) || ws.is_client) {
    lua_pushnil(L);
  } else {
    context_of(ws).upgrades().push_request_of(L, push_callbacks(L), ws);
  }
  return 1;
}

int to_string(lua_State* L) {
  const LuaWebsocket& ws = check_websocket(L);
  lua_pushfstring(L, "websocket: %p (%s)", lua_topointer(L, 1), state_name(ws));
  return 1;
}

constexpr luaL_Reg kMethods[] = {
    {"write", write},
    {"broadcast", broadcast},
    {"serve_http_file", serve_http_file},
    {"defer", defer},
    {"respond", respond},
    {"on_receive", on_receive},
    {"on_receive_chunk", on_receive_chunk},
    {"on_closed", on_closed},
    {"on_broadcast", on_broadcast},
    {"on_server_writeable", on_server_writeable},
    {"close", close},
    {"terminate", terminate},
    {"get_socket_fd", get_socket_fd},
    {"get_peer_addresses", get_peer_addresses},
    {"remaining_packet_payload", remaining_packet_payload},
    {"buffered_amount", buffered_amount},
    {"rx_flow_control", rx_flow_control},
    {"service", service},
    {"request", request},
    {nullptr, nullptr},
};

constexpr luaL_Reg kMetamethods[] = {{"__tostring", to_string}, {nullptr, nullptr}};

}  // namespace

CloseArguments check_close_arguments(lua_State* L, int index, CloseCode otherwise) {
  CloseArguments arguments{otherwise, {}};
  if (!lua_isnoneornil(L, index)) {
    const lua_Integer code = luaL_checkinteger(L, index);
    const bool is_possible = code > 0 && code < 65536 && is_wire_close_code(static_cast<unsigned>(code));
    luaL_argcheck(L, code == 0 || is_possible, index, "a close code that may not be sent");
    arguments.code = static_cast<CloseCode>(code);
  }
  std::size_t size;
  const char* text = luaL_optlstring(L, index + 1, "", &size);
  arguments.reason = {text, size};
  luaL_argcheck(L, size == 0 || arguments.code != CloseCode::kNone, index + 1, "a reason needs a code");
  luaL_argcheck(L, size <= kMaxReasonBytes, index + 1, "a close reason has at most 123 bytes");
  luaL_argcheck(L, is_valid_utf8(as_bytes(arguments.reason)), index + 1, "a close reason must be UTF-8");
  return arguments;
}

void register_websocket(lua_State* L) {
  push_metatable(L, LuaWebsocket::kType);
  set_functions(L, kMetamethods);
  lua_newtable(L);
  set_functions(L, kMethods);
  set_functions(L, kWebsocketTopicMethods);
  set_functions(L, kWebsocketStateMethods);
  set_functions(L, kWebsocketPingMethods);
  set_functions(L, kWebsocketClientMethods);
  lua_setfield(L, -2, "__index");
  register_user_fields(L);
  lua_pop(L, 1);
}

}  // namespace websockets::lua
