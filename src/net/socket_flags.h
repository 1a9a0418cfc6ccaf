// SPDX-License-Identifier: MIT
#pragma once

#include <sys/socket.h>

namespace websockets {

// For send(2): a peer that is gone is an error, not a signal. Systems without the flag have SO_NOSIGPIPE instead, which
// is set where a socket is made.
#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;
#endif

}  // namespace websockets
