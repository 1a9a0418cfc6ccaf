// SPDX-License-Identifier: MIT
#pragma once

#include "websocket/close_code.h"

namespace websockets {

// Whether a websocket that was open and got this code by the peer is not opened again: it would be for the same reason
// (RFC 6455 7.4.1).
bool is_final_close(CloseCode code);

}  // namespace websockets
