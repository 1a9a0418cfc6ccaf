// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/pinned_payload.h"
#include "loop/descriptor_observer.h"
#include "websocket/session_handler.h"

namespace websockets {

class Connection;
class HttpExchange;
class PendingUpgrade;
class Receiver;
struct Refusal;
class Request;

// What a context tells its owner, besides what SessionHandler says of its websockets. Each call may do anything with
// any connection or the context itself, destroy() included; connections and the context stay in memory until the call
// has returned. Where bool is returned, false means that the owner's code failed: the connection is closed with 1011,
// or answered with 500. No call throws.
class Handler : public SessionHandler, public DescriptorObserver, public PayloadOwner {
 public:
  // A request that can become a websocket, where the options ask for this: to be answered by `pending`, now or later.
  // False, too, when nobody will answer it.
  virtual bool on_upgrade(Connection& connection, const HttpExchange& exchange,
                          const std::shared_ptr<PendingUpgrade>& pending) = 0;
  // The opening handshake is done. `exchange` still has its request, but is no longer the connection's.
  virtual bool on_open(Connection& connection, const HttpExchange& exchange) = 0;
  // For connections in BroadcastMode::kCallback.
  virtual bool on_broadcast(Connection& connection, std::span<const std::uint8_t> data) = 0;
  // What a guest, which has subscribed to topics, is sent messages by; null: there is no way now. Calls nobody.
  virtual Session* session_of(Receiver& guest) = 0;
  // An HTTP request that is not for a websocket, with its body.
  virtual bool on_http(Connection& connection, const Request& request) = 0;
  // A client was refused; told later in the round, or in the next one.
  virtual void on_refused(const Refusal& refusal) = 0;
  // Whether do_work() would do something.
  virtual bool has_work() const = 0;
  // What the owner has put off: in each round, after the timers. Returns whether something was done.
  virtual bool do_work() = 0;
  // At the end of each round of the own loop, or of an outer one.
  virtual void on_served() = 0;
  // A connection whose `user` is set is about to be freed. Comes at the end of a round.
  virtual void on_freed(Connection& connection) = 0;
  // The context ends, at first by Context::shut_down(), or is given up to another process: what else lives on its loop
  // has to end in the same way. Each comes before its own connections end; the first one may be left out.
  virtual void on_shut_down(CloseCode code, std::string_view reason) = 0;
  virtual void on_destroy() = 0;
  virtual void on_abandon() = 0;

 protected:
  ~Handler() = default;
};

}  // namespace websockets
