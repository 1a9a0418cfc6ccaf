// SPDX-License-Identifier: MIT
#pragma once

namespace websockets::lua {

// What ws:write() takes as its type; the values are those of libwebsockets.
enum : int {
  kWriteText = 0,
  kWriteBinary = 1,
  kWriteContinuation = 2,
  kWriteHttp = 3,
  kWriteClose = 4,
  kWritePing = 5,
  kWritePong = 6,
  kWriteNoFin = 64,
  kWriteClientIgnoreXorMask = 128,
};

enum : int {
  kServerOptionDefeatClientMask = 1,
  kServerOptionRequireValidOpensslClientCert = 2,
  kServerOptionSkipServerCanonicalName = 4,
};

}  // namespace websockets::lua
