// SPDX-License-Identifier: MIT
#include "client/clients.h"

#include <new>
#include <utility>

namespace websockets {

Clients::Clients(Loop& loop, ClientDials& dials, ClientHandler& handler, SessionHandler& messages)
    : messages_(messages),
      sessions_(loop, keys_, static_cast<SessionHandler&>(*this)),
      rules_(sessions_),
      services_{{loop, dials, keys_, rules_, connections_}, handler, clients_} {}

Client& Clients::connect(ClientOptions options, void* user) { return *new Client(services_, std::move(options), user); }

// --- The events of sessions ---

bool Clients::on_messages(Session& session, MessageBatch& messages) { return messages_.on_messages(session, messages); }

bool Clients::on_chunk(Session& session, MessageType type, std::span<const std::uint8_t> piece, bool is_last) {
  return messages_.on_chunk(session, type, piece, is_last);
}

bool Clients::on_pong(Session& session, std::span<const std::uint8_t> payload) {
  return messages_.on_pong(session, payload);
}

bool Clients::on_drained(Session& session) { return messages_.on_drained(session); }

void Clients::on_closed(Session& session, CloseCode code, std::string_view reason) {
  static_cast<ClientConnection&>(session.carrier()).on_session_closed(code, reason);
}

// --- Endings ---

ClientConnection* Clients::find_connection(int fd, std::uint32_t serial) const {
  const auto* const channel = dynamic_cast<Channel*>(services_.attempts.loop.find(fd));
  auto* const connection = channel == nullptr ? nullptr : dynamic_cast<ClientConnection*>(&channel->handler());
  return connection != nullptr && connection->serial() == serial ? connection : nullptr;
}

void Clients::terminate(int fd, std::uint32_t serial) {
  ClientConnection* const connection = find_connection(fd, serial);
  if (connection != nullptr && connection->session() != nullptr) connection->session()->terminate();
}

// The callbacks may do anything with the others, but those stay in memory.
void Clients::shut_down(CloseCode code, std::string_view reason) {
  for (std::size_t left = clients_.size(); left > 0 && !clients_.empty(); --left) {
    Client& client = *clients_.first();
    try {
      client.close(code, reason);
    } catch (const std::bad_alloc&) {  // the others have to be told nevertheless
      client.terminate();
    }
  }
}

std::size_t Clients::destroy() {
  std::size_t left = 0;
  while (!clients_.empty()) left += clients_.first()->destroy();
  // What had ended already, but for its connection.
  for (ClientConnection* connection = connections_.first(); connection != nullptr;
       connection = ClientConnectionList::next(*connection)) {
    left += connection->destroy();
  }
  return left;
}

// The connections first: whoever closes one would say so to the peer.
void Clients::abandon() {
  keys_.discard();
  for (ClientConnection* connection = connections_.first(); connection != nullptr;
       connection = ClientConnectionList::next(*connection)) {
    connection->abandon();
  }
  while (!clients_.empty()) clients_.first()->abandon();
}

}  // namespace websockets
