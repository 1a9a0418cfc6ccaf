// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/budget.h"

namespace websockets {

// Where a handler stands after its input. The channel keeps it, instead of asking by virtual calls.
struct InputState {
  bool is_pending = false;        // it is in the midst of something that goes on without further input
  bool has_direct_space = false;  // direct_space() is worth asking for
  bool holds_bytes = false;       // held_bytes() is not 0
};

// What speaks on a channel. Events go up by these calls, each of which may do anything with the channel but those that
// say otherwise; it stays in memory until on_released(). std::bad_alloc may leave them: the channel is lost then.
class ChannelHandler {
 public:
  // Bytes that come before everything else, TLS included: a header of the PROXY protocol.
  virtual bool expects_preamble() const { return false; }
  // Returns how many of them belong to it.
  virtual std::size_t on_preamble(std::span<const std::uint8_t> /*bytes*/) { return 0; }
  // The first byte is none of a TLS handshake: the channel goes on without TLS, to say so.
  virtual void on_plain_text() {}

  // Takes bytes from the front of `input`, until it is empty, `budget` is spent, or reading was switched off. What is
  // left is kept, and given again. Not re-entered. One call for each receive, not for each message.
  virtual InputState on_input(std::span<std::uint8_t>& input, Budget& budget) = 0;
  // Where a large piece of the input may be received directly, after on_input() has said so. Calls nobody.
  virtual std::span<std::uint8_t> direct_space() { return {}; }
  virtual InputState on_received_in_place(std::size_t /*count*/, Budget& /*budget*/) { return {}; }
  // The bytes of input that the handler holds, to be counted in the MemoryBudget. Calls nobody.
  virtual std::size_t held_bytes() const = 0;
  // Of the output, what the handler holds back still; it is counted there already. Calls nobody.
  virtual std::size_t held_output_bytes() const { return 0; }
  // The peer sends no more; what could be sent was. The handler ends the channel, now or when its output has left.
  virtual void on_end_of_input() = 0;

  // The peer has taken some of the output, or all. Calls nobody, nor a channel's drain(), close() or flush_now().
  virtual void on_output_progress(bool is_empty) = 0;
  // The time of Channel::set_deadline() has come, unless the channel has ended before.
  virtual void on_deadline() = 0;
  // How long the peer may take to end a channel that drains, from the last byte it took; `usual_ms`: the loop's. Calls
  // nobody.
  virtual std::uint64_t linger_timeout_ms(std::uint64_t usual_ms) const { return usual_ms; }
  // The call that Channel::defer() asked for.
  virtual void run_deferred() = 0;
  // Nothing more can be sent; on_lost() follows. Calls nobody.
  virtual void on_broken() = 0;
  // The TLS handshake has failed, or ended; what follows is told besides. Calls nobody.
  virtual void on_handshake_failed() {}
  // Memory is short, and this channel holds most of it. The handler ends it.
  virtual void on_shed() = 0;
  // The channel is closed, by whomever. Calls nobody.
  virtual void on_closed() = 0;
  // It has closed by itself.
  virtual void on_lost() = 0;
  // It was closed, and nothing of it is on the stack any more: it may be destroyed.
  virtual void on_released() = 0;

 protected:
  ~ChannelHandler() = default;
};

}  // namespace websockets
