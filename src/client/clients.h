// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "client/client.h"
#include "client/client_dials.h"
#include "client/client_handler.h"
#include "client/client_options.h"
#include "client/client_rules.h"
#include "client/random_masking_keys.h"
#include "loop/loop.h"
#include "websocket/session_handler.h"
#include "websocket/session_rules.h"

namespace websockets {

// All clients of one loop, and what they have in common. Whoever calls what may lead to a handler holds a Loop::Round.
class Clients final : private SessionHandler {
 public:
  // What is given must outlive it. `messages`: see ClientHandler.
  Clients(Loop& loop, ClientDials& dials, ClientHandler& handler, SessionHandler& messages);
  // After destroy() or abandon(), when all is freed: at the end of that round, if the loop was stopped before, else of
  // a further one.
  ~Clients() = default;
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // Makes a client, which begins when the loop is served. Calls nobody. Throws std::bad_alloc, after which there is
  // none. The client stays in memory until on_client_freed(), at the end of a round in which it is closed, and its
  // connection, too.
  Client& connect(ClientOptions options, void* user);

  // Those that are not closed, the oldest first. One leaves before its on_client_closed().
  std::size_t count() const { return clients_.size(); }
  Client* first() const { return clients_.first(); }
  static Client* next(const Client& client) { return ClientList::next(client); }

  const SessionStats& stats() const { return sessions_.stats; }

  // Drops what a client that is closed has left behind, if it is this connection: see Client.
  void terminate(int fd, std::uint32_t serial);
  // Whether there is one.
  bool has_connection(int fd, std::uint32_t serial) const { return find_connection(fd, serial) != nullptr; }
  // Closes them all.
  void shut_down(CloseCode code, std::string_view reason);
  // Ends them all: sends what is queued and a Close frame, 1001, as far as the kernel takes them at once, shuts writing
  // down, drains what has arrived, closes. on_client_closed() is called of each. Nothing may be connected afterwards.
  // Returns how many bytes of what send() had accepted will never leave.
  std::size_t destroy();
  // In a process that was forked, and in its parent when the child serves instead: gives all sockets up, without a word
  // to the peers, or to the owner but on_client_freed().
  void abandon();

 private:
  ClientConnection* find_connection(int fd, std::uint32_t serial) const;

  bool on_messages(Session& session, MessageBatch& messages) override;
  bool on_chunk(Session& session, MessageType type, std::span<const std::uint8_t> piece, bool is_last) override;
  bool on_pong(Session& session, std::span<const std::uint8_t> payload) override;
  bool on_drained(Session& session) override;
  void on_closed(Session& session, CloseCode code, std::string_view reason) override;

  SessionHandler& messages_;
  RandomMaskingKeys keys_;
  ClientSessions sessions_;
  ClientRulesPool rules_;
  ClientConnectionList connections_;
  ClientList clients_;
  ClientServices services_;
};

}  // namespace websockets
