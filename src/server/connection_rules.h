// SPDX-License-Identifier: MIT
#pragma once

#include "server/receiver.h"
#include "server/server_rules.h"
#include "websocket/session_rules.h"

namespace websockets {

class Handler;
class Hub;

// The rules of all connections of one server, and where these are; they outlive the connections.
struct ConnectionRules {
  ServerRules server;
  SessionRules session;
  Handler& handler;
  Hub& hub;                        // of those that are websockets
  ReceiverList& http_connections;  // the others
};

}  // namespace websockets
