// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "client/client_dials.h"
#include "client/client_handler.h"
#include "client/clients.h"
#include "dial/dialer.h"
#include "dial/tls_client_contexts.h"
#include "loop/background_tasks.h"

namespace websockets::lua {

struct LuaClient;
class LuaContext;
struct LuaWebsocket;

// The clients of one context, and the way from their events to Lua functions. Client::user() is a LuaWebsocket.
class LuaClients final : private ClientHandler {
 public:
  explicit LuaClients(LuaContext& context);
  LuaClients(const LuaClients&) = delete;
  LuaClients& operator=(const LuaClients&) = delete;

  // Throws std::bad_alloc.
  Client& connect(ClientOptions options, LuaWebsocket& ws) { return clients_.connect(std::move(options), &ws); }
  // Those that are not closed.
  std::size_t count() const { return clients_.count(); }
  Client* first() const { return clients_.first(); }

  // See Clients. Within an Entry.
  void terminate(int fd, std::uint32_t serial) { clients_.terminate(fd, serial); }
  bool has_connection(int fd, std::uint32_t serial) const { return clients_.has_connection(fd, serial); }

  // As the context ends. All within an Entry.
  void shut_down(CloseCode code, std::string_view reason) { clients_.shut_down(code, reason); }
  std::size_t destroy() { return clients_.destroy(); }
  void abandon() { clients_.abandon(); }

 private:
  const char* on_attempt(Client& client, ClientRequest& request) override;
  bool on_open(Client& client) override;
  bool on_retry(Client& client, double& seconds, const ClientFailure& failure) override;
  void on_client_closed(Client& client, CloseCode code, std::string_view reason, const ClientFailure& failure) override;
  void on_client_freed(Client& client) override;

  void mark_inbox(const LuaWebsocket& ws);
  void notify(const LuaWebsocket& ws);
  void detach(LuaWebsocket& ws);

  LuaContext& context_;
  BackgroundTasks tasks_;
  TlsClientContexts tls_;
  DialServices services_;
  NetworkDials dials_;
  Clients clients_;
};

}  // namespace websockets::lua
