// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "base/budget.h"
#include "base/output_queue.h"
#include "base/pinned_payload.h"
#include "websocket/carrier.h"
#include "websocket/close_code.h"
#include "websocket/frame.h"
#include "websocket/keepalive.h"
#include "websocket/message_reader.h"
#include "websocket/session_handler.h"
#include "websocket/session_rules.h"
#include "websocket/write_status.h"

namespace websockets {

class MessageCompression;
class PreparedMessage;

// One side of an open websocket, the server's or the client's, from the end of the opening handshake on: bytes in,
// events up to the handler, frames out through the carrier, the closing handshake, keepalive. Knows no socket and no
// clock: times are milliseconds of one that does not go back.
//
// It stays in memory until no code of it can be on the stack any more; its handler may do anything with it in any
// event. std::bad_alloc may leave any call, after which, if a part of something may have been queued or taken, the
// session is not open any more, and run_deferred() ends it with 1006.
class Session final {
 public:
  // `compression`: what was negotiated, or null.
  Session(const SessionRules& rules, Carrier& carrier, std::unique_ptr<MessageCompression> compression);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- For its carrier ---

  // Keepalive begins. To be called once, before anything else.
  void start(std::uint64_t now_ms);
  // Takes bytes from the front of `input`, modifying them in place, until it is empty, `budget` is spent, reading was
  // switched off, or the session has ended; what is left then is of no use. Not within itself.
  void receive(std::span<std::uint8_t>& input, Budget& budget, std::uint64_t now_ms);
  // See MessageReader.
  std::span<std::uint8_t> direct_space();
  void received_in_place(std::size_t count, Budget& budget, std::uint64_t now_ms);
  // In the midst of decompressing a message: receive() is worth while without any input.
  bool has_pending_input() const { return state_ != State::kClosed && reader_.is_inflating(); }
  bool wants_input() const { return goes_on() && !is_broken(); }
  // The peer is alive. All that has to be done for each receive.
  void note_received(std::uint64_t now_ms) { keepalive_.note_received(now_ms); }
  // The peer sends no more. The carrier has sent what could be sent.
  void on_end_of_input();
  // The peer has taken some of the queue; it has taken all.
  void on_output_progress() {
    if (state_ == State::kClosing) set_deadline(rules_.close_timeout_ms);
    if (notifies_progress_) defer_drained();
  }
  void on_output_empty() {
    if (notifies_drain_ && state_ == State::kOpen) defer_drained();
  }
  // `could_not_receive`: something waits to be received, or is being delivered. While is_closing(), a carrier that is
  // late gives the peer a second chance before.
  void on_deadline(std::uint64_t now_ms, bool could_not_receive);
  // Does what was deferred: failures, the drained event.
  void run_deferred();
  // Nothing more can be sent. is_open() is false at once; run_deferred() ends the session.
  void on_broken() { defer_failure(CloseCode::kAbnormal); }
  // Says that the endpoint ends, as far as the peer takes it at once, and ends.
  void destroy(CloseCode code);
  // Somebody else has the carrier's descriptor now: ends without a word to the peer or to anybody.
  void abandon();
  // Input that waits for more of it or for a quantum. The carrier counts it in the MemoryBudget.
  std::size_t received_bytes() const;
  // Of the frames that are held back, which their pool counts.
  std::size_t held_output_bytes() const { return held_frames_ == nullptr ? 0 : held_frames_->held_bytes(); }

  // --- For the application ---

  // Messages can be sent.
  bool is_open() const { return state_ == State::kOpen && failure_ == CloseCode::kNone; }
  // The connection is lost, and all that waited for it: on_closed() is to come.
  bool is_broken() const { return failure_ == CloseCode::kAbnormal; }
  // Our Close frame is queued or sent, the peer's has not come.
  bool is_closing() const { return state_ == State::kClosing; }
  bool has_ended() const { return state_ == State::kClosed; }
  // False once the session was closed here, or while its reading is off.
  bool takes_messages() const { return goes_on() && !close_reported_; }
  // Whether a fragment without FIN was sent last.
  bool is_fragmenting() const { return fragmenting_; }
  std::uint64_t remaining_frame_bytes() const { return reader_.remaining_frame_bytes(); }
  std::size_t buffered_bytes() const {
    return carrier_.output().bytes() + (held_frames_ == nullptr ? 0 : held_frames_->bytes());
  }
  Carrier& carrier() const { return carrier_; }
  const SessionRules& rules() const { return rules_; }

  // Sends a frame, or queues it behind what waits. Never blocks. kQueueFull: nothing of it was taken; while nothing
  // waits, any size is. Not for Close frames. A data message that is sent in fragments must not be mixed with
  // another one: see is_fragmenting(). `pinned`: a server sends the payload from where it is, else from a copy.
  WriteStatus send(Opcode opcode, bool fin, std::span<const std::uint8_t> payload, PinnedPayload pinned = {});
  // Sends a message that goes to others, too. It waits for the end of a message sent in fragments.
  WriteStatus send(PreparedMessage& message);
  // Starts the closing handshake; on_closed follows when the peer has answered. `code` kNone: without a code.
  WriteStatus send_close(CloseCode code, std::string_view reason);

  // The local end: calls on_closed at once; what is queued, the Close frame and the closing handshake follow in the
  // background. Does nothing the second time.
  void close(CloseCode code, std::string_view reason);
  // Ends it now, dropping what is queued; calls on_closed.
  void terminate(CloseCode code = CloseCode::kAbnormal, std::string_view reason = {});
  // Fails the connection (RFC 6455 7.1.7): the Close frame is the last that is sent, nothing more is received.
  void fail(CloseCode code, std::string_view reason);
  // Lets run_deferred() close it: 1006 when it is lost, else with this code.
  void defer_failure(CloseCode code);

  // Off: nothing is delivered, not even what was received already.
  void set_reading(bool enabled, std::uint64_t now_ms);
  void set_chunk_mode(bool enabled) { reader_.set_chunk_mode(enabled); }
  void set_notifies_drain(bool notifies) { notifies_drain_ = notifies; }
  // on_drained() comes, too, when the peer has taken some of the queue, in whatever state.
  void set_notifies_progress(bool notifies) { notifies_progress_ = notifies; }
  void set_notifies_pongs(bool notifies) { notifies_pongs_ = notifies; }

 private:
  class Sink;
  enum class State : std::uint8_t { kOpen, kClosing, kClosed };

  bool goes_on() const { return state_ != State::kClosed && reading_; }
  // It cannot send any more, or must not: the queue may end in the middle of a frame.
  template <typename Function>
  void run_reader(Function function);
  template <typename Function>
  void or_break(Function function);
  void switch_reading_on();
  void set_deadline(std::uint64_t wait_ms);
  void defer_drained() {
    drain_pending_ = true;
    carrier_.defer();
  }
  void schedule_keepalive(std::uint64_t now_ms);

  bool is_within_rate(std::size_t& most, std::uint64_t now_ms);
  bool on_messages(MessageBatch& messages, std::uint64_t now_ms);
  bool on_chunk(MessageType type, std::span<const std::uint8_t> piece, bool is_last, std::uint64_t now_ms);
  bool on_ping(std::span<const std::uint8_t> payload);
  bool on_pong(std::span<const std::uint8_t> payload);
  void on_close_frame(CloseCode code, std::string_view reason);
  void check_handler(bool succeeded);
  void end(Carrier::End how, CloseCode code, std::string_view reason);
  void report_closed(CloseCode code, std::string_view reason);

  bool has_room(const OutputQueue& output, std::size_t bytes);
  std::size_t held_frame_bytes() const { return held_frames_ == nullptr ? 0 : held_frames_->bytes(); }
  bool queue_compressed(Opcode opcode, std::span<const std::uint8_t> payload);
  void queue_held_frames();
  void queue_close_frame(CloseCode code, std::string_view reason);
  void drop_held_frames();
  void drop_input();

  const SessionRules& rules_;
  Carrier& carrier_;
  std::unique_ptr<MessageCompression> compression_;  // null: not negotiated
  std::unique_ptr<OutputQueue> held_frames_;         // may not come between the fragments of a message
  Keepalive keepalive_;
  [[no_unique_address]] MessageReader reader_;  // what follows takes the place that it leaves at its end
  CloseCode failure_ = CloseCode::kNone;        // what run_deferred() has to close it with
  State state_ = State::kOpen;
  bool reading_ : 1 = true;          // flow control
  bool in_reader_ : 1 = false;       // a call of the reader is on the stack
  bool has_deadline_ : 1 = false;    // on_deadline() will come
  bool close_reported_ : 1 = false;  // on_closed was called
  bool fragmenting_ : 1 = false;
  bool notifies_drain_ : 1 = false;
  bool notifies_progress_ : 1 = false;
  bool notifies_pongs_ : 1 = false;
  bool drain_pending_ : 1 = false;
};

}  // namespace websockets
