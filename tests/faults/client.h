// SPDX-License-Identifier: MIT
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "protocol_support.h"
#include "websocket/deflate.h"

namespace websockets::faults {

using protocol_support::Bytes;
using protocol_support::Outcome;

// What asks for a websocket; `headers` are lines.
std::string handshake(std::string_view target, std::string_view headers = {});

// Of an HTTP request.
bool is_refusal(const std::string& event);

// A client that never waits. What it does is done within a Pause.
class Client {
 public:
  // By the unix socket of that path; with a port, by TCP, and by that version of TLS unless it is 0.
  explicit Client(const std::string& path);
  explicit Client(std::uint16_t port, int tls_version = 0);

  void send(std::string_view bytes);
  void send(const Bytes& frame);
  // A whole message with permessage-deflate, its window kept.
  void send_compressed(std::string_view text);
  // Takes what is there, and goes on with a TLS handshake.
  void read();
  void close() { fd_.reset(); }
  // If a Close frame came, and was not answered yet; closes when the server has.
  void answer_close();

  // What has to come, and that it does as long as the connection is there.
  void expect(std::vector<std::string> answers) { expected_ = std::move(answers); }
  std::size_t lacks() const;  // so many of them
  // For more than was refused, and the connection is there.
  bool waits() const;
  // "STATUS:body" of each answer that is complete, then the messages of a websocket.
  Outcome outcome() const;

 private:
  struct SslFree {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  void connect(const void* address, unsigned size, int family);
  void transmit();
  void take(std::string_view bytes);
  Outcome messages(std::string_view bytes) const;

  UniqueFd fd_;
  std::unique_ptr<SSL, SslFree> ssl_;  // between two BIOs in memory
  std::string unsent_;                 // until the TLS handshake is done
  std::string received_;
  std::unique_ptr<Deflater> deflater_;
  std::vector<std::string> expected_;
  bool has_ended_ = false;
  bool has_answered_ = false;
};

}  // namespace websockets::faults
