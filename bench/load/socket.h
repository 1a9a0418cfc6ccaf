// SPDX-License-Identifier: MIT
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

// Where the server is.
struct Target {
  std::uint16_t port;
  SSL_CTX* tls;  // null: without TLS
};

// A connection to the server, over TCP or TLS. Nothing waits.
class Socket {
 public:
  enum class Step { kWaitsForInput, kWaitsForOutput, kDone, kFailed };

  Socket() = default;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(); }

  // False: it failed at once.
  bool connect(const Target& target);

  // To be called until it is done or has failed, each time that what it waits for is there.
  Step finish_connect();

  void close();

  // Closes it by a reset (RST): what is under way is lost.
  void reset();

  int fd() const { return fd_; }

  // How many bytes were taken: fewer than all when no more fit. Nothing: the connection is lost.
  std::optional<std::size_t> send(std::string_view bytes);

  // How many bytes came: 0 when none are there yet. Nothing: the connection has ended. There has to be room for 16 KiB.
  std::optional<std::size_t> receive(char* to, std::size_t most);

 private:
  int fd_ = -1;
  SSL* tls_ = nullptr;
  bool is_connected_ = false;
};

// For clients that trust every server. Never freed.
SSL_CTX* make_tls_context();
