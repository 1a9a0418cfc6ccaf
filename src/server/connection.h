// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "base/budget.h"
#include "base/byte_buffer.h"
#include "base/output_queue.h"
#include "net/driver.h"
#include "net/socket_address.h"
#include "net/stream.h"
#include "net/timer_wheel.h"
#include "server/admission.h"
#include "server/http_carrier.h"
#include "server/receiver.h"
#include "websocket/close_code.h"
#include "websocket/frame.h"
#include "websocket/keepalive.h"
#include "websocket/message_reader.h"
#include "websocket/write_status.h"

namespace websockets {

class Context;
class Handler;
class HttpExchange;
class MessageCompression;
class PreparedMessage;
class Watcher;
struct Subprotocol;

// One client, from accept to the end: first it speaks HTTP, then, if it asked for that, WebSocket. Owned by its
// context, which frees it only when no code of it can be on the stack any more. connection.cpp and
// connection_output.cpp move the bytes, turns.cpp says when; websocket.cpp speaks WebSocket, http_exchange.cpp HTTP.
class Connection final : public Pollable, public Timer, private MessageSink, public Receiver, public HttpCarrier {
 public:
  Connection(Context& context, Stream stream, const PeerAddress& peer);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // --- For the context's owner, who holds a Context::Round where on_closed may be called ---

  // A websocket that can be written to.
  bool is_open() const { return state_ == State::kOpen && failure_ == CloseCode::kNone; }
  // Off when it was closed here, or its reading was switched off.
  bool takes_messages() const { return goes_on() && !reported_; }
  // It was closed before it became a websocket.
  bool has_ended_in_http() const { return exchange_ != nullptr && state_ != State::kHttp; }
  Handler& handler() const;
  // The client's address, as far as it is known: a trusted proxy tells it.
  const PeerAddress& peer() const override { return peer_; }
  bool is_tls() const override { return stream_.is_tls(); }
  Certificate peer_certificate() const { return stream_.peer_certificate(); }
  // Answers a request; null when the connection does not speak HTTP, or has ended.
  HttpExchange* http() { return exchange_.get(); }

  // Sends a frame, or queues it behind what waits. Never blocks. kQueueFull: nothing of it was taken; while nothing
  // waits, any size is. Not for Close frames. A data message that is sent in fragments must not be mixed with
  // another one: see is_fragmenting(). Throws std::bad_alloc, after which the connection is lost.
  // `kept`: the payload is sent from where it is, else from a copy.
  WriteStatus write(Opcode opcode, bool fin, std::span<const std::uint8_t> payload, PinnedPayload kept = {});
  // What goes to other connections, too. Waits for the end of a message sent in fragments.
  WriteStatus send(PreparedMessage& message);
  // Whether a fragment without FIN was sent last.
  bool is_fragmenting() const { return fragmenting_; }
  // Starts the closing handshake; on_closed follows when the peer has answered. `code` kNone: without a code.
  WriteStatus write_close(CloseCode code, std::string_view reason);

  // The local end: calls on_closed at once; what is queued, the Close frame and the closing handshake follow in the
  // background. In HTTP: ends after what is queued. Does nothing the second time.
  void close(CloseCode code, std::string_view reason);
  // The local end when the whole server ends: HTTP ends behind the answer to a request that has begun.
  void shut_down(CloseCode code, std::string_view reason);
  // Ends the connection now, dropping what is queued; calls on_closed.
  void terminate(CloseCode code = CloseCode::kAbnormal, std::string_view reason = {});

  // Off: nothing is read or delivered, not even what was read already.
  void set_reading(bool enabled);
  void set_chunk_mode(bool enabled) { reader_.set_chunk_mode(enabled); }
  void set_wants_drained(bool wants) { wants_drained_ = wants; }
  void set_wants_pongs(bool wants) { wants_pongs_ = wants; }
  std::uint64_t remaining_frame_bytes() const { return reader_.remaining_frame_bytes(); }
  std::size_t buffered_bytes() const { return queue_.bytes() + (held_frames_ == nullptr ? 0 : held_frames_->bytes()); }

  // --- For the context ---

  void start();
  // Watches again in an own loop that was made later.
  bool restart(Watcher& watcher);
  void on_ready(unsigned events) override;
  bool takes_received() const override;
  void on_received(IoResult result, std::span<std::uint8_t> input) override;
  void on_timeout() override;
  // Sends what is queued, as far as the kernel takes it, or when it has its turn, if it is much and others have sent
  // much in this round. Calls nobody, unless that was the last of a connection that ends; update_interest() has to
  // follow where the handler may be called.
  void flush();
  // To be flushed now.
  bool has_output() const { return !queue_.empty() && !blocked_ && !turn_is_over_; }
  // In the midst of decompressing a message.
  bool is_inflating() const { return is_websocket() && reader_.is_inflating(); }
  // What flush() would send, for somebody else to send it and then to call on_sent(), which calls nobody. 0: flush()
  // has to do it.
  std::size_t begin_send(std::span<iovec> parts) const;
  void on_sent(IoResult result);
  // What could not be done when it was found: failures, the drained event, input that was held back.
  void run_deferred();
  // What others should not wait for: goes on with its input and its output for a while.
  void take_turn();
  // Likewise with the message that it is decompressing.
  void go_on_inflating();
  // Lets run_deferred() close the connection: 1006 when it is lost, else with this code.
  void defer_failure(CloseCode code);
  void destroy(CloseCode code);
  // Another process has it now: gives up the descriptor without a word to the peer or to the handler but on_freed.
  void abandon();
  // What the context's MemoryBudget counts for it: received, and to be sent.
  std::size_t held_bytes() const {
    return counted_input_bytes_ + queue_.held_bytes() + (held_frames_ == nullptr ? 0 : held_frames_->held_bytes());
  }
  // Ends it because memory is short, and it has most of it.
  void give_up();

 private:
  friend class Context;

  enum class State : std::uint8_t {
    kHttp,
    kOpen,
    kClosing,   // our Close frame is queued or sent, the peer's has not come
    kDraining,  // everything is said: ends when the queue is empty and, if lingering_, when the peer has ended its side
    kClosed,    // the descriptor is closed; waits to be freed
  };

  // connection.cpp
  bool is_websocket() const { return state_ == State::kOpen || state_ == State::kClosing; }
  void refuse();

  // For the exchange.
  OutputQueue& output() override { return queue_; }
  void output_added() override;
  bool flush_now() override;
  void reading_changed() override;
  void receive_now() override {}
  void defer() override;
  void set_deadline(std::uint64_t wait_ms) override { set_timeout(wait_ms); }
  void cancel_deadline() override { cancel_timeout(); }
  void end(End how) override;
  void session_closed() override {}
  bool set_peer(const PeerAddress& peer) override;
  bool on_http(const Request& request) override;
  bool on_upgrade(const std::shared_ptr<PendingUpgrade>& pending) override;
  void open_websocket(const Subprotocol& subprotocol, std::unique_ptr<MessageCompression> compression) override;

  bool takes_input() const;
  bool takes_early_input() const;
  bool wants_input() const;
  // Its turn would be long: it has one when those whose are short had theirs.
  bool is_laborious() const { return is_heavy_ || stream_.is_in_handshake(); }
  // Taken from the kernel already.
  bool has_held_input() const { return held_input_ != nullptr || is_inflating(); }
  bool has_unread_input() const { return has_held_input() || stream_.has_buffered_input(); }
  void receive();
  void receive_later();
  bool awaits_proxy_header() const;
  bool receive_proxy_header(Budget& budget);
  bool receive_input(Budget& budget);
  IoResult receive_once(bool& was_filled, Budget& budget);
  void spend_on_receiving(std::size_t bytes, Budget& budget);
  void consume(std::span<std::uint8_t> input, Budget& budget);
  std::span<std::uint8_t> deliver(std::span<std::uint8_t> input, Budget& budget);
  void resume_input();
  void end_receive(IoStatus status);
  void count_input();
  void on_end_of_input();
  void drain(bool linger);
  void close_descriptor();
  void set_timeout(std::uint64_t timeout_ms);
  void cancel_timeout();
  bool takes_second_chance();
  // Ends it when memory is short.
  template <typename Function>
  void attempt(Function function) {
    try {
      function();
    } catch (const std::bad_alloc&) {
      busy_ = false;
      terminate();
    }
  }

  // connection_output.cpp
  void on_output_empty();
  void on_output_progress();
  IoResult send_front(std::size_t most);
  bool note_send(IoResult result);
  void end_flush(bool has_sent);
  bool has_much_output() const;
  void update_interest();
  // Only what is watched for writing: tells no outer loop, so that write() calls nobody.
  void update_output_interest();
  unsigned output_interest() const;
  bool change_interest(unsigned wanted);

  // turns.cpp
  void resume_later();
  void end_turn();

  // silence.cpp
  void note_heard();
  void watch_silence();
  void on_silence();
  void schedule_silence();

  // websocket.cpp
  void consume_frames(std::span<std::uint8_t>& input, Budget& budget);
  void on_protocol_error(ProtocolError error);
  bool is_within_rate(std::size_t& most);
  void fail(CloseCode code, std::string_view reason);
  void check_handler(bool succeeded);
  void finish_handshake(CloseCode code, std::string_view reason);
  bool has_room(std::size_t bytes);
  bool queue_compressed(Opcode opcode, std::span<const std::uint8_t> payload);
  void queue_frame(const FrameHeader& header, std::span<const std::uint8_t> payload, PinnedPayload kept = {});
  void queue_held_frames();
  void drop_held_frames();
  void queue_close_frame(CloseCode code, std::string_view reason);
  void report_closed(CloseCode code, std::string_view reason);
  bool goes_on() const { return is_websocket() && reading_; }
  bool on_messages(MessageBatch& messages) override;
  bool on_chunk(MessageType type, std::span<const std::uint8_t> piece, bool is_last) override;
  bool on_ping(std::span<const std::uint8_t> payload) override;
  bool on_pong(std::span<const std::uint8_t> payload) override;
  void on_close_frame(CloseCode code, std::span<const std::uint8_t> reason) override;
  MessageCompression* compression() override { return compression_.get(); }

  Context& context_;
  Stream stream_;
  Connection* next_to_flush_ = nullptr;
  Connection* next_with_work_ = nullptr;
  Connection* next_with_turn_ = nullptr;
  Connection* next_inflating_ = nullptr;
  OutputQueue queue_;
  [[no_unique_address]] MessageReader reader_;  // what follows takes the place that it leaves at its end
  CloseCode failure_ = CloseCode::kNone;        // what run_deferred() has to close it with
  State state_ = State::kHttp;
  std::uint8_t interest_ = 0;  // what the driver watches for
  std::unique_ptr<HttpExchange> exchange_;
  std::unique_ptr<MessageCompression> compression_;  // null: not negotiated
  std::unique_ptr<ByteBuffer> held_input_;           // read, but not to be delivered yet
  std::unique_ptr<OutputQueue> held_frames_;         // may not come between the fragments of a message
  std::size_t counted_input_bytes_ = 0;              // what waits of the input, as the context has counted it
  Admission::Ticket ticket_;
  PeerAddress peer_;
  Keepalive keepalive_;
  bool reading_ : 1 = true;        // flow control
  bool busy_ : 1 = false;          // input is being delivered
  bool paused_ : 1 = false;        // became readable while busy
  bool ended_ : 1 = false;         // the peer will send no more
  bool blocked_ : 1 = false;       // the kernel takes no more
  bool turn_is_over_ : 1 = false;  // so much was sent that the others are first
  bool lingering_ : 1 = false;
  bool was_shut_down_ : 1 = false;
  bool reported_ : 1 = false;  // on_closed was called, or on_open never
  bool fragmenting_ : 1 = false;
  bool wants_drained_ : 1 = false;
  bool wants_pongs_ : 1 = false;
  bool drained_ : 1 = false;
  bool to_flush_ : 1 = false;        // in the context's queue
  bool has_work_ : 1 = false;        // in the context's queue, or in that of what is to be freed
  bool has_turn_ : 1 = false;        // in the context's queue
  bool awaits_receive_ : 1 = false;  // became readable, and receives when it has its turn
  bool is_heavy_ : 1 = false;        // took all of its last turn
  bool is_to_inflate_ : 1 = false;   // in the context's queue
  bool inflates_first_ : 1 = false;  // what it is decompressing has had a turn there
  bool is_abandoned_ : 1 = false;
  bool receives_much_ : 1 = false;  // more than an IoBatch is good for
  bool had_second_chance_ : 1 = false;
};

// Connections that something is to be done with, linked by a member of theirs: to add one takes no memory, so it cannot
// fail.
template <auto Next>
class ConnectionQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  std::size_t size() const { return size_; }
  void push_front(Connection& connection) {
    connection.*Next = first_;
    first_ = &connection;
    if (last_ == nullptr) last_ = first_;
    ++size_;
  }
  void push(Connection& connection) {
    connection.*Next = nullptr;
    (first_ == nullptr ? first_ : last_->*Next) = &connection;
    last_ = &connection;
    ++size_;
  }
  // Not while empty().
  Connection& pop() {
    Connection& connection = *first_;
    first_ = connection.*Next;
    if (first_ == nullptr) last_ = nullptr;
    --size_;
    return connection;
  }
  template <typename Predicate>
  void remove_if(Predicate is_to_go) {
    for (ConnectionQueue all = std::exchange(*this, {}); !all.empty();) {
      Connection& connection = all.pop();
      if (!is_to_go(connection)) push(connection);
    }
  }

 private:
  Connection* first_ = nullptr;
  Connection* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace websockets
