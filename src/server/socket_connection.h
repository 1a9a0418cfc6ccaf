// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "loop/channel.h"
#include "loop/channel_handler.h"
#include "net/stream.h"
#include "server/connection.h"

namespace websockets {

class Loop;

// A connection on a channel of its own: hands up what the channel receives, and down what is sent. It owns itself,
// until the channel is released.
class SocketConnection final : public Connection, public ChannelHandler {
 public:
  // Throws std::bad_alloc, after which there is no connection.
  static void adopt(Loop& loop, ConnectionRules& rules, Stream stream, const PeerAddress& peer);

  Certificate peer_certificate() const override { return channel_.stream().peer_certificate(); }
  int descriptor() const override { return channel_.fd(); }

  // --- As a carrier ---

  OutputQueue& output() override { return channel_.output(); }
  void output_added() override { channel_.output_added(); }
  bool flush_now() override { return channel_.flush_now(); }
  void open_websocket(const Subprotocol& subprotocol, std::unique_ptr<MessageCompression> compression) override;
  void reading_changed() override;
  void receive_now() override { channel_.receive_now(); }
  void defer() override { channel_.defer(); }
  void set_deadline(std::uint64_t wait_ms) override { channel_.set_deadline(wait_ms); }
  void cancel_deadline() override { channel_.cancel_deadline(); }
  void end(End how) override;
  bool is_tls() const override { return channel_.stream().is_tls(); }

 private:
  SocketConnection(Loop& loop, ConnectionRules& rules, Stream stream, const PeerAddress& peer)
      : Connection(rules, peer), channel_(loop, std::move(stream), *this) {}

  ~SocketConnection() = default;

  void start();
  // The channel reads as what speaks on it wants.
  void sync_reading();

  bool is_carried() const override { return channel_.is_open(); }
  bool is_in_tls_handshake() const override { return channel_.stream().is_in_handshake(); }
  void abandon_carrier() override { channel_.abandon(); }
  std::uint64_t now_ms() const;

  bool expects_preamble() const override;
  std::size_t on_preamble(std::span<const std::uint8_t> bytes) override;
  void on_plain_text() override;
  InputState on_input(std::span<std::uint8_t>& input, Budget& budget) override;
  std::span<std::uint8_t> direct_space() override;
  InputState on_received_in_place(std::size_t count, Budget& budget) override;
  std::size_t held_bytes() const override;
  std::size_t held_output_bytes() const override;
  void on_end_of_input() override;
  void on_output_progress(bool is_empty) override;
  void on_deadline() override;
  void run_deferred() override;
  void on_broken() override;
  void on_handshake_failed() override;
  void on_shed() override { shed(); }
  void on_closed() override;
  void on_lost() override;
  void on_released() override;

  Channel channel_;
};

}  // namespace websockets
