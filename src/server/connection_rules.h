// SPDX-License-Identifier: MIT
#pragma once

#include "server/receiver.h"
#include "server/server_rules.h"
#include "websocket/session_rules.h"

namespace websockets {

class Handler;
class Hub;

// What all connections of one server have in common: it outlives them.
struct ConnectionRules {
  ServerRules server;
  SessionRules session;
  Handler& handler;
  Hub& hub;                        // of those that are websockets
  ReceiverList& http_connections;  // the others
};

}  // namespace websockets
