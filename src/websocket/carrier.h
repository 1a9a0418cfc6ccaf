// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/output_queue.h"

namespace websockets {

// Carries the bytes of one session: a socket, a stream of an HTTP/2 connection, or a test. Outlives the session. Its
// functions call neither the session nor its handler, but for flush_now() and receive_now(), where it says so; but
// reading_changed() and end() may tell an outer loop, whose code may do anything with the session: they come last.
class Carrier {
 public:
  enum class End : std::uint8_t {
    kAfterOutput,  // everything is said: ends when the queue is empty
    kLinger,  // likewise, but reads and drops what the peer still sends, so that it is not sent a reset (RFC 9112 9.6)
    kAwaitPeer,  // likewise, but does not end its own side either before the peer has: RFC 6455 7.1.1, of a client
    kNow,
  };

  void* user = nullptr;  // the application's own object; null at first

  // What the session appends to; always the same one.
  virtual OutputQueue& output() = 0;
  // The output leaves at the end of the batch, or at once when it is much.
  virtual void output_added() = 0;
  // Sends now what the peer takes, whatever the share of others. True: it may take more at once. May call
  // Session::on_output_progress(), on_output_empty() and on_broken().
  virtual bool flush_now() = 0;
  // Session::wants_input() is another one now; when it is on, what was left of the input is to be given again.
  virtual void reading_changed() = 0;
  // Hands up what has arrived already: a loop that was busy may not have received it yet. May call anything of the
  // session, and end it.
  virtual void receive_now() = 0;
  // Session::run_deferred() is to be called before the loop waits again.
  virtual void defer() = 0;
  // Session::on_deadline() is to be called after so long; replaces the one before.
  virtual void set_deadline(std::uint64_t wait_ms) = 0;
  virtual void cancel_deadline() = 0;
  // The session takes and sends no more. kNow drops the queue, and may follow another one.
  virtual void end(End how) = 0;
  // Once, just before SessionHandler::on_closed, or instead of it in Session::abandon(): what an open websocket has
  // elsewhere (subscriptions, counts) ends.
  virtual void session_closed() = 0;

 protected:
  ~Carrier() = default;
};

}  // namespace websockets
