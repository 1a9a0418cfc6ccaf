// SPDX-License-Identifier: MIT
// What require 'websockets' returns.
#include <poll.h>

#include "cluster/listener_handover.h"
#include "cluster/program_start.h"
#include "lua/constants.h"
#include "lua/guarded.h"
#include "lua/wrap_client.h"
#include "lua/wrap_context.h"
#include "lua/wrap_request.h"
#include "lua/wrap_run.h"
#include "lua/wrap_static.h"
#include "lua/wrap_timers.h"
#include "lua/wrap_waits.h"
#include "lua/wrap_websocket.h"
#include "websocket/close_code.h"

namespace websockets::lua {
namespace {

struct Constant {
  const char* name;
  int value;
};

constexpr int number(CloseCode code) { return static_cast<int>(code); }

constexpr Constant kConstants[] = {
    {"WRITE_TEXT", kWriteText},
    {"WRITE_BINARY", kWriteBinary},
    {"WRITE_CONTINUATION", kWriteContinuation},
    {"WRITE_HTTP", kWriteHttp},
    {"WRITE_CLOSE", kWriteClose},
    {"WRITE_PING", kWritePing},
    {"WRITE_PONG", kWritePong},
    {"WRITE_NO_FIN", kWriteNoFin},
    {"WRITE_CLIENT_IGNORE_XOR_MASK", kWriteClientIgnoreXorMask},
    {"SERVER_OPTIONS_DEFEAT_CLIENT_MASK", kServerOptionDefeatClientMask},
    {"SERVER_OPTION_DEFEAT_CLIENT_MASK", kServerOptionDefeatClientMask},
    {"SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT", kServerOptionRequireValidOpensslClientCert},
    {"SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME", kServerOptionSkipServerCanonicalName},
    {"POLLIN", POLLIN},
    {"POLLOUT", POLLOUT},
    {"POLLERR", POLLERR},
    {"POLLHUP", POLLHUP},
    {"CLOSE_NORMAL", number(CloseCode::kNormal)},
    {"CLOSE_GOING_AWAY", number(CloseCode::kGoingAway)},
    {"CLOSE_PROTOCOL_ERROR", number(CloseCode::kProtocolError)},
    {"CLOSE_UNSUPPORTED_DATA", number(CloseCode::kUnsupportedData)},
    {"CLOSE_NO_STATUS", number(CloseCode::kNoStatus)},
    {"CLOSE_ABNORMAL", number(CloseCode::kAbnormal)},
    {"CLOSE_INVALID_PAYLOAD", number(CloseCode::kInvalidPayload)},
    {"CLOSE_POLICY_VIOLATION", number(CloseCode::kPolicyViolation)},
    {"CLOSE_MESSAGE_TOO_BIG", number(CloseCode::kMessageTooBig)},
    {"CLOSE_MANDATORY_EXTENSION", number(CloseCode::kMandatoryExtension)},
    {"CLOSE_INTERNAL_ERROR", number(CloseCode::kInternalError)},
    {"CLOSE_SERVICE_RESTART", number(CloseCode::kServiceRestart)},
    {"CLOSE_TRY_AGAIN_LATER", number(CloseCode::kTryAgainLater)},
    {"CLOSE_BAD_GATEWAY", number(CloseCode::kBadGateway)},
    {"CLOSE_TLS_HANDSHAKE", number(CloseCode::kTlsHandshake)},
};

}  // namespace
}  // namespace websockets::lua

extern "C" __attribute__((visibility("default"))) int luaopen_websockets(lua_State* L) {
  using namespace websockets::lua;
  // The script may change its folder, and start other programs.
  guarded(L, [] {
    websockets::program_start();
    websockets::ListenerHandover::of_process();
  });
  register_context(L);
  register_websocket(L);
  register_request(L);
  register_static(L);
  register_timer(L);
  register_client(L);
  lua_newtable(L);
  lua_pushcfunction(L, create_context);
  lua_setfield(L, -2, "context");
  lua_pushcfunction(L, connect);
  lua_setfield(L, -2, "connect");
  lua_pushcfunction(L, run_default_context);
  lua_setfield(L, -2, "run");
  lua_pushcfunction(L, create_static);
  lua_setfield(L, -2, "static");
  for (const Constant& constant : kConstants) {
    lua_pushinteger(L, constant.value);
    lua_setfield(L, -2, constant.name);
  }
  register_waits(L);
  lua_pushliteral(L, "lua-websockets " WEBSOCKETS_VERSION);
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
