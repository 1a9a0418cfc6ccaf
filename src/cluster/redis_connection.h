// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/redis_commands.h"
#include "cluster/redis_failure.h"
#include "cluster/redis_protocol.h"
#include "dial/dialer.h"
#include "loop/channel.h"
#include "loop/channel_handler.h"
#include "loop/disposable.h"
#include "net/timer_wheel.h"

namespace websockets {

class RedisConnection;

struct RedisConnectionOptions {
  DialTarget target;
  std::string username;  // as in RedisUrl
  std::string password;
  std::uint32_t database = 0;
  // Says who it is, and makes sure that the server is a master, before it is ready. An error that other commands would
  // be told, too, loses it. Else it is ready when it is connected, and ends after `timeout_ms`.
  bool has_greeting = true;
  std::size_t max_reply_bytes = 64U << 20U;
  std::uint64_t timeout_ms = 10'000;  // to be ready
};

// The calls are made in a round, and throw nothing. They may do anything, close() included.
class RedisConnectionOwner {
 public:
  virtual void on_connection_ready(RedisConnection& connection) = 0;
  // What no command of send() waits for. May throw std::bad_alloc, which loses the connection.
  virtual void on_unasked(RedisConnection& connection, const RedisReply& reply) = 0;
  // The call that RedisConnection::defer() asked for. May throw std::bad_alloc, which loses the connection.
  virtual void on_deferred(RedisConnection& connection) = 0;
  // Once; it is closed.
  virtual void on_connection_lost(RedisConnection& connection, RedisFailure failure) = 0;

 protected:
  ~RedisConnectionOwner() = default;
};

// One connection to one Redis server. It stays in memory until no code of it can be on the stack.
class RedisConnection final : public Disposable, private ChannelHandler, private DialerOwner, private Timer {
 public:
  struct Closer {
    void operator()(RedisConnection* connection) const { connection->close(); }
  };
  using Pointer = std::unique_ptr<RedisConnection, Closer>;
  // Throws std::bad_alloc.
  static Pointer create(const DialServices& services, RedisConnectionOptions options, RedisConnectionOwner& owner);

  // Once. May call the owner.
  void start();
  // Sends what is queued as far as the kernel takes it at once, and ends. Calls nobody.
  void finish();
  // In a forked process: ends without a word to anybody.
  void abandon();
  // Calls nobody.
  void close();
  bool is_ready() const { return is_ready_; }

  // While it is ready. Throws std::bad_alloc; nothing is sent then. An empty `on_reply`: nobody asks.
  void send(std::span<const std::string_view> command, RedisCommands::OnReply on_reply);
  // The same of a command whose replies come by on_unasked().
  void tell(std::span<const std::string_view> command);
  // While it is ready: asks for on_deferred(), before the loop waits again.
  void defer();
  // Closes it, and tells whoever waits for a reply that none will come; but not the owner.
  void break_off();

  // Which server it is, for messages.
  const std::string& place() const { return place_; }
  // Of the master; "": it did not tell.
  const std::string& replication_id() const { return replication_id_; }
  std::size_t queued_bytes() const { return channel_ ? channel_->output().bytes() : 0; }
  // Whether something has come since this was asked last.
  bool take_activity() { return std::exchange(has_received_, false); }

 private:
  RedisConnection(const DialServices& services, RedisConnectionOptions options, RedisConnectionOwner& owner);
  ~RedisConnection() override = default;

  void on_dialed(Stream stream, std::string address) override;
  void on_dial_failed(Failure failure) override { lose(redis_failure(failure)); }
  void on_timeout() override;

  void greet();
  void note_information(std::string_view information);
  void become_ready();

  InputState on_input(std::span<std::uint8_t>& input, Budget& budget) override;
  std::size_t held_bytes() const override { return reader_.held_bytes(); }
  bool read_reply(std::span<const std::uint8_t>& input, Budget& budget);
  void take(const RedisReply& reply);
  void on_end_of_input() override;
  void on_output_progress(bool /*is_empty*/) override {}
  void on_deadline() override {}
  void run_deferred() override;
  void on_broken() override {}
  void on_handshake_failed() override;
  void on_shed() override;
  void on_closed() override {}
  void on_lost() override;
  void on_released() override;

  void refuse(std::string_view error, RedisFailure::Remedy remedy) noexcept;
  void lose(RedisFailure failure) noexcept;
  void stop();

  const DialServices services_;
  const RedisConnectionOptions options_;
  RedisConnectionOwner* owner_;  // null: it is closed by it
  std::string place_;
  std::string replication_id_;
  std::string tls_refusal_;
  std::unique_ptr<Dialer> dialer_;
  RedisReplyReader reader_;
  std::deque<RedisCommands::OnReply> awaited_;
  std::optional<Channel> channel_;
  bool is_ready_ = false;
  bool is_over_ = false;
  bool is_deferred_ = false;
  bool has_received_ = false;
  bool had_second_chance_ = false;
};

}  // namespace websockets
