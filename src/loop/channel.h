// SPDX-License-Identifier: MIT
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "base/budget.h"
#include "base/byte_buffer.h"
#include "base/output_queue.h"
#include "loop/channel_handler.h"
#include "loop/scheduler.h"
#include "net/driver.h"
#include "net/io_result.h"
#include "net/stream.h"
#include "net/timer_wheel.h"

namespace websockets {

class Loop;

// A channel's places in the queues of its loop, which alone changes them.
struct ChannelPlaces {
  ChannelPlaces* next_to_flush = nullptr;
  ChannelPlaces* next_deferred = nullptr;  // or among those that are to be released
  bool is_to_be_flushed = false;
  bool is_deferred = false;
};

// One socket in a loop: reads, hands the bytes up within a budget, sends its queue, is watched for what it waits for,
// and lingers at the end. Its loop tells on_released() when no code of it can be on the stack any more.
class Channel final : public Pollable, public Timer, public Flow, public ChannelPlaces {
 public:
  Channel(Loop& loop, Stream stream, ChannelHandler& handler);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // --- For its handler ---

  // It is the library's own: Loop::channel_count() leaves it out. Once, before start().
  void set_uncounted();
  bool is_counted() const { return is_counted_; }
  // From now on it can be watched: see update_interest().
  void start();
  Loop& loop() const { return loop_; }
  ChannelHandler& handler() const { return handler_; }
  const Stream& stream() const { return stream_; }
  bool is_open() const { return state_ == State::kOpen; }
  bool is_closed() const { return state_ == State::kClosed; }
  // The errno of the call that has lost it; 0: there is none.
  int error() const { return error_; }

  // Flow control. kAhead: some input is received, to notice its end, but kept.
  enum class Reading : std::uint8_t { kOff, kAhead, kOn };
  // Takes effect with update_interest(), which every event ends with.
  void set_reading(Reading reading) { reading_ = reading; }
  void update_interest();
  // Input was received that on_input() did not get yet; with defer(), it is given when reading is on.
  bool has_unread_input() const { return has_pending_input() || stream_.has_buffered_input(); }
  // Something waits to be received, or is being delivered.
  bool could_not_receive() const { return in_callback_ || has_pending_input(); }
  // Hands up what has arrived already. May call the handler, and end the channel.
  void receive_now();
  // The handler's held_bytes() have changed: counts them in the MemoryBudget.
  void count_input();

  OutputQueue& output() { return output_; }
  const OutputQueue& output() const { return output_; }
  // The output may have files, each of which counts as much output.
  void set_sends_files(bool sends_files) { sends_files_ = sends_files; }
  // Corks the output: it leaves at the end of the batch, or at once when it is much.
  void output_added();
  // Sends now what the kernel takes, whatever the share of others. True: it may take more at once.
  bool flush_now();
  // The queue may end in half a frame: nothing more is sent, and run_deferred() loses the channel.
  void break_off();

  void set_deadline(std::uint64_t wait_ms);
  void cancel_deadline();
  // A deadline that comes late means that nobody was served for so long, whatever the peer has done in time: it is put
  // off, once.
  bool takes_second_chance();
  // Calls run_deferred() before the loop waits again.
  void defer();

  enum class Linger : std::uint8_t {
    kNo,
    kUntilPeerEnds,  // it may be sending still, and would be sent a reset, which may destroy what it has not read yet
    kPeerFirst,      // likewise, but does not end its own side either before the peer has
  };
  // Everything is said: closes when the output has left, and the peer has ended its side (RFC 9112 9.6). on_lost()
  // follows when it has not within ChannelHandler::linger_timeout_ms().
  void drain(Linger linger);
  // Now, without what is queued. Calls nobody but an observer of descriptors.
  void close();
  // The same, but the peer can read what has left: it is told that no more follows, and what it has sent by now is
  // discarded, as the kernel would answer unread input with a reset (RFC 9112 9.6).
  void close_gently();
  // Another process has it now: gives up the descriptor without a word to the peer.
  void abandon();

  // --- For its loop ---

  void on_ready(unsigned events) override;
  bool takes_received() const override;
  void on_received(IoResult result, std::span<std::uint8_t> input) override;
  void on_timeout() override;
  // Sends what is queued, as far as the kernel takes it, or when it has its quantum, if it is much and others have sent
  // much in this round. Calls nobody.
  void flush();
  // Whether flush() would send something.
  bool has_output() const { return !output_.empty() && !write_blocked_ && !output_is_spent_ && !is_broken_; }
  // What flush() would send, for somebody else to send it and then to call on_sent(), which calls nobody. 0: flush()
  // has to do it. update_interest() has to follow.
  std::size_t begin_send(std::span<iovec> parts) const;
  void on_sent(IoResult result);
  void run_deferred();
  // Its quantum: goes on with its output and its input. Returns whether it waits for exclusivity, or has it.
  bool run(Budget& budget, bool is_exclusive);
  // What the MemoryBudget counts for it.
  std::size_t held_bytes() const { return counted_input_bytes_ + output_.held_bytes() + handler_.held_output_bytes(); }
  void shed();
  void release() { handler_.on_released(); }

 private:
  enum class State : std::uint8_t { kOpen, kDraining, kClosed };

  // An answer to more input of a broken channel could be taken for the rest of one that was cut off.
  bool takes_input() const {
    return state_ == State::kOpen ? reading_ == Reading::kOn && !is_broken_ : linger_ != Linger::kNo;
  }
  bool wants_input() const;
  bool has_pending_input() const { return pending_input_ != nullptr || is_pending_; }
  // It would take long: sparse channels are served first.
  bool waits_for_quantum() const { return is_bulk() || stream_.is_in_handshake(); }

  void receive(Budget& budget);
  void receive_later();
  bool receive_preamble(Budget& budget);
  void receive_input(Budget& budget);
  IoResult receive_once(bool& was_filled, Budget& budget);
  void consume(std::span<std::uint8_t> input, Budget& budget);
  std::span<std::uint8_t> deliver(std::span<std::uint8_t> input, Budget& budget);
  void note_state(InputState state);
  void resume_input(Budget& budget);
  void resume_later();
  void end_receive(IoResult result);

  bool send(Budget& budget);
  bool has_much_output() const;
  bool note_send(IoResult result);
  void end_flush(bool has_sent);
  void drain_further();
  void update_output_interest();
  unsigned output_interest() const;
  bool change_interest(unsigned wanted);

  void end_run();
  void close(bool is_abandoned);
  void lose();
  // Loses the channel when memory is short.
  template <typename Function>
  void or_lose(Function function) {
    try {
      function();
    } catch (const std::bad_alloc&) {
      in_callback_ = false;
      lose();
    }
  }

  // First: they lie in what the bases leave at their end.
  State state_ = State::kOpen;
  Reading reading_ = Reading::kOn;
  Linger linger_ = Linger::kNo;
  bool in_callback_ : 1 = false;           // input is being delivered
  bool readable_in_callback_ : 1 = false;  // became readable meanwhile
  bool is_pending_ : 1 = false;            // see InputState
  bool has_direct_space_ : 1 = false;
  bool holds_bytes_ : 1 = false;
  bool input_ended_ : 1 = false;      // the peer will send no more
  bool awaits_receive_ : 1 = false;   // became readable, and receives when it has its quantum
  bool receives_much_ : 1 = false;    // more than an IoBatch is good for
  bool write_blocked_ : 1 = false;    // the kernel takes no more
  bool output_is_spent_ : 1 = false;  // so much was sent that the others are first
  bool sends_files_ : 1 = false;
  bool is_broken_ : 1 = false;  // nothing more can be sent
  bool was_shut_down_ : 1 = false;
  bool had_second_chance_ : 1 = false;
  bool is_counted_ : 1 = true;  // by Loop::channel_count()
  std::uint8_t error_ = 0;      // no errno of sockets is greater
  Loop& loop_;
  ChannelHandler& handler_;
  Stream stream_;
  OutputQueue output_;
  std::unique_ptr<ByteBuffer> pending_input_;  // received, but not to be delivered yet
  std::size_t counted_input_bytes_ = 0;        // what waits of the input, as the loop has counted it
};

}  // namespace websockets
