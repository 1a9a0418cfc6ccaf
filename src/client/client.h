// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/intrusive.h"
#include "client/client_attempt.h"
#include "client/client_connection.h"
#include "client/client_failure.h"
#include "client/client_handler.h"
#include "client/client_options.h"
#include "client/client_response.h"
#include "loop/disposable.h"
#include "net/certificate.h"
#include "websocket/close_code.h"
#include "websocket/frame.h"
#include "websocket/session.h"
#include "websocket/write_status.h"

namespace websockets {

class Client;
class ClientList;

// What all clients of one loop use.
struct ClientServices {
  AttemptServices attempts;
  ClientHandler& handler;
  ClientList& clients;  // those that are not closed
};

// One outgoing websocket, through all its attempts and openings, from Clients::connect() to on_client_closed(). Its
// owner holds a Loop::Round for each call that may lead to a handler: all but those that are const.
class Client final : public Disposable, private ClientConnectionOwner {
 public:
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  enum class State : std::uint8_t {
    kConnecting,  // it was never open; also between two attempts
    kOpen,
    kReconnecting,  // it was open, and will be again
    kClosing,       // this side has begun the closing handshake, by close() or send_close()
    kClosed,
  };
  State state() const;

  // The application's own object; the carrier of each of its sessions has it, too. Null at first.
  void* const& user() const { return user_; }
  void set_user(void* user);

  // While there is a connection that has opened and did not end; else null. May be closing. To send, take send() below.
  Session* session() const;
  // Of the present opening, or of the last one; null: there was none.
  const ClientResponse* response() const { return has_opened_ ? &response_ : nullptr; }
  // What the server has shown; none without TLS, and while there is no connection.
  Certificate certificate() const;
  // Of the socket; -1: there is none.
  int descriptor() const;
  // For Clients::terminate(), together with the descriptor. 0: there is no connection.
  std::uint32_t connection_serial() const;

  // --- Sending ---

  // As Session::send(), in each state. Before the first opening, frames of every kind are queued, within
  // max_backpressure_bytes; at the opening they are sent in that order, before what on_open() writes, so that the order
  // of calls is the one on the wire. kClosed while kReconnecting, too: see state().
  WriteStatus send(Opcode opcode, bool fin, std::span<const std::uint8_t> payload);
  // Starts the closing handshake of an open websocket; on_client_closed() follows when the peer has answered, or did
  // not in time. Before the first opening it is queued as other frames are, and no attempt follows one that fails.
  WriteStatus send_close(CloseCode code, std::string_view reason);
  bool is_fragmenting() const;
  std::size_t buffered_bytes() const;

  // --- Settings, which hold for all its openings ---

  void set_reading(bool enabled);
  void set_chunk_mode(bool enabled);
  void set_notifies_drain(bool notifies);
  void set_notifies_pongs(bool notifies);

  // --- Endings ---

  // The local end, which is final: on_client_closed() is called at once. Open: what is queued, the Close frame and the
  // closing handshake follow in the background. Not open: the attempt is broken off; kCancelled.
  void close(CloseCode code, std::string_view reason);
  // Ends it now, dropping what is queued: kAbnormal, kCancelled.
  void terminate();
  // Ends the present opening by a closing handshake in the background, and makes another attempt at once, without
  // on_retry(). While it waits for one, that comes at once; while one is under way, nothing happens. False: it does not
  // reconnect, or is closed.
  bool reopen(CloseCode code, std::string_view reason);

  // --- For Clients ---

  // Throws std::bad_alloc.
  Client(ClientServices& services, ClientOptions options, void* user);
  ~Client() override;
  // See Clients. Returns how many bytes of what was accepted will not leave.
  std::size_t destroy();
  void abandon();

  ListLink<Client> link;  // in the list of those that are not closed

 private:
  struct Dialing;
  // What this side does to an open websocket.
  enum class LocalEnd : std::uint8_t { kNone, kClose, kTerminate, kReopen, kDestroy };

  void begin_attempt();
  void on_answered(ClientConnection& connection, ClientAnswer answer);
  void on_attempt_failed(const ClientFailure& failure, std::optional<double> retry_after_s);
  void on_ended(ClientConnection& connection, ClientEnd end, CloseCode code, std::string_view reason) override;
  void on_released(ClientConnection& connection) override;

  void apply_settings(Session& session) const;
  void leave_connection();
  void end_or_retry(CloseCode code, std::string_view reason, const ClientFailure& failure,
                    std::optional<double> delay_s);
  void break_off(CloseCode code, std::string_view reason);
  void retire();
  void end(CloseCode code, std::string_view reason, const ClientFailure& failure);
  void dispose();

  ClientServices& services_;
  void* user_;
  ClientConnection* connection_ = nullptr;  // the present one, until it is freed
  std::unique_ptr<Dialing> dialing_;        // null once no further attempt will be made
  ClientResponse response_;                 // of the last opening
  LocalEnd local_end_ = LocalEnd::kNone;
  bool has_opened_ : 1 = false;
  bool has_ended_ : 1 = false;  // on_client_closed() was called
  bool reading_ : 1 = true;
  bool chunk_mode_ : 1 = false;
  bool notifies_drain_ : 1 = false;
  bool notifies_pongs_ : 1 = false;
};

class ClientList final : public IntrusiveList<Client, &Client::link> {};

}  // namespace websockets
