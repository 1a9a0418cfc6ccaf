// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "client/client_failure.h"
#include "client/opening_handshake.h"
#include "websocket/close_code.h"

namespace websockets {

class Client;

// What ClientHandler::on_attempt() is asked for. It has what the options say; what is changed holds for this attempt,
// and is good by check_opening_options(), too.
struct ClientRequest {
  std::string url;
  OpeningOptions::Pairs headers;
};

// What clients tell their owner, beside their messages: those come by the SessionHandler that Clients was given, whose
// on_messages(), on_chunk(), on_pong() and on_drained() are called as for a server's websockets, and on_closed() never
// is: session.carrier().user is Client::user().
//
// Each call may do anything with any client, and destroy them all; a client stays in memory until on_client_freed(). No
// call comes within Clients::connect(). No call throws.
class ClientHandler {
 public:
  // An attempt begins, if ClientOptions::asks_owner. What is returned, if not null, says what of the owner's code has
  // failed, as long as the process lasts: the client ends, finally, cancelled with that message.
  virtual const char* on_attempt(Client& client, ClientRequest& request) = 0;
  // At each opening; nothing was received yet. False: the owner's code failed, and the websocket is closed with 1011.
  virtual bool on_open(Client& client) = 0;
  // A client that reconnects will make another attempt, in so many seconds, which may be changed. False: it gives up.
  // client.session() is null.
  virtual bool on_retry(Client& client, double& seconds, const ClientFailure& failure) = 0;
  // Once, finally. Never opened: kAbnormal. `failure` is none where this side has closed an open websocket.
  virtual void on_client_closed(Client& client, CloseCode code, std::string_view reason,
                                const ClientFailure& failure) = 0;
  // It is about to be freed, after on_client_closed(); at the end of a round. Not called where its user() is null.
  virtual void on_client_freed(Client& client) = 0;

 protected:
  ~ClientHandler() = default;
};

}  // namespace websockets
