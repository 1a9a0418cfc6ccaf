// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/intrusive.h"
#include "loop/channel.h"
#include "loop/channel_handler.h"
#include "net/certificate.h"
#include "net/stream.h"
#include "websocket/carrier.h"
#include "websocket/close_code.h"
#include "websocket/message_compression.h"
#include "websocket/session.h"

namespace websockets {

class ClientConnection;
class ClientConnectionList;
class Loop;
struct ClientRules;

// What takes the answer to the opening request. Each call may do anything with the connection, and is the last one
// where that was closed, or has become a websocket.
class ClientOpening {
 public:
  // Takes bytes from the front of `input`, but none behind the answer. Throws std::bad_alloc: the connection is lost.
  virtual void on_answer(ClientConnection& connection, std::span<const std::uint8_t>& input) = 0;
  // The server has refused TLS after all, as without a client's certificate (RFC 8446 4.4.2.4): that comes when the
  // client's handshake is over. on_answer_ended() follows. Calls nobody.
  virtual void on_tls_refused(std::string why) = 0;
  // The connection has ended; orderly: the server has ended it.
  virtual void on_answer_ended(bool is_orderly) = 0;

 protected:
  ~ClientOpening() = default;
};

// How a session has ended.
enum class ClientEnd : std::uint8_t {
  kHere,        // by Session::close(); the closing handshake goes on
  kPeer,        // the peer has sent a Close frame
  kFailed,      // Session::fail(): the peer broke the protocol or was silent, or the owner's code failed
  kUnanswered,  // the peer did not answer a Close frame in time
  kLost,        // without a Close frame of the peer; or by Session::terminate()
};

// Who has an open connection.
class ClientConnectionOwner {
 public:
  // Once. It may do anything.
  virtual void on_ended(ClientConnection& connection, ClientEnd end, CloseCode code, std::string_view reason) = 0;
  // It is freed. Calls nobody.
  virtual void on_released(ClientConnection& connection) = 0;

 protected:
  ~ClientConnectionOwner() = default;
};

// A client's connection to a server: sends the opening request, hands up the answer, becomes a session. It owns itself
// until its channel is released.
class ClientConnection final : public Carrier, public ChannelHandler {
 public:
  // `stream` is connected. Throws std::bad_alloc, after which there is none.
  static ClientConnection& begin(Loop& loop, ClientConnectionList& list, Stream stream, std::string_view request,
                                 ClientOpening& opening);

  // For the opening, in on_answer(): the answer was good. What follows it is given to the session.
  Session& open_websocket(std::shared_ptr<const ClientRules> rules, std::unique_ptr<MessageCompression> compression,
                          ClientConnectionOwner& owner);
  // Once it has become a websocket, else null.
  Session* session() { return is_websocket_ ? &session_ : nullptr; }
  const Session* session() const { return is_websocket_ ? &session_ : nullptr; }
  // Nobody is told of its end any more.
  void leave_owner();

  std::uint32_t serial() const { return serial_; }  // never 0
  Certificate peer_certificate() const { return channel_.stream().peer_certificate(); }
  int descriptor() const { return channel_.fd(); }  // -1: it is closed
  int error() const { return channel_.error(); }    // the errno of the call that has lost it; 0: there is none

  // Now, without a word; a websocket is to be terminated before.
  void close() { channel_.close(); }
  // Sends what is queued and a Close frame as far as the kernel takes them at once, and ends. Returns how many bytes
  // did not leave.
  std::size_t destroy();
  // Another process has it now: gives it up without a word to anybody but on_released().
  void abandon();

  // A SessionHandler was told that the session is closed.
  void on_session_closed(CloseCode code, std::string_view reason);

  // --- As a carrier ---

  OutputQueue& output() override { return channel_.output(); }
  void output_added() override { channel_.output_added(); }
  bool flush_now() override { return channel_.flush_now(); }
  void reading_changed() override;
  void receive_now() override { channel_.receive_now(); }
  void defer() override { channel_.defer(); }
  void set_deadline(std::uint64_t wait_ms) override { channel_.set_deadline(wait_ms); }
  void cancel_deadline() override { channel_.cancel_deadline(); }
  void end(End how) override;
  void session_closed() override {}

  ListLink<ClientConnection> link;  // in the list of those that are not freed

 private:
  ClientConnection(Loop& loop, ClientConnectionList& list, Stream stream, ClientOpening& opening);
  ~ClientConnection();

  void sync_reading();
  bool has_peer_taken_some();
  std::uint64_t now_ms() const;

  InputState on_input(std::span<std::uint8_t>& input, Budget& budget) override;
  std::span<std::uint8_t> direct_space() override;
  InputState on_received_in_place(std::size_t count, Budget& budget) override;
  std::size_t held_bytes() const override;
  std::size_t held_output_bytes() const override;
  void on_end_of_input() override;
  void on_output_progress(bool is_empty) override;
  void on_deadline() override;
  std::uint64_t linger_timeout_ms(std::uint64_t usual_ms) const override;
  void run_deferred() override;
  void on_broken() override;
  void on_handshake_failed() override;
  void on_shed() override;
  void on_closed() override {}
  void on_lost() override;
  void on_released() override;

  // What there is of a websocket. A std::optional would take 8 bytes more.
  union {
    char none_ = 0;
    Session session_;
  };
  std::shared_ptr<const ClientRules> rules_;  // null before
  ClientConnectionList& list_;
  union {
    ClientOpening* opening_;        // before it is a websocket; null: nobody cares
    ClientConnectionOwner* owner_;  // then; null: the same
  };
  std::uint32_t unacknowledged_ = 0;  // bytes, when it was asked last
  std::uint32_t serial_;
  bool is_being_destroyed_ = false;
  bool is_websocket_ : 1 = false;
  bool is_unanswered_ : 1 = false;  // the close timeout has come
  bool was_blocked_ : 1 = false;    // output waited for the peer to take more
  std::optional<End> ending_;       // what the session ended with
  Channel channel_;
};

class ClientConnectionList final : public IntrusiveList<ClientConnection, &ClientConnection::link> {
 public:
  // What tells a connection from others that had its descriptor before.
  std::uint32_t next_serial() { return ++serial_ == 0 ? ++serial_ : serial_; }

 private:
  std::uint32_t serial_ = 0;
};

}  // namespace websockets
