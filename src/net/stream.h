// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "net/certificate.h"
#include "net/io_result.h"
#include "net/ssl_session.h"

namespace websockets {

// A connected, non-blocking byte stream, over TLS or not. No call blocks, raises SIGPIPE, or fails for EINTR. Owns the
// descriptor.
class Stream {
 public:
  // `tls` null: none. Its handshake takes place within the calls of receive(), or of handshake(). The client's has to
  // be over before the stream is given to a Channel: nothing arrives before it has sent its part.
  explicit Stream(UniqueFd fd, SslSession tls = nullptr) : tls_(std::move(tls)), fd_(std::move(fd)) {
    if (tls_ != nullptr) begin_tls();
  }

  int fd() const { return fd_.get(); }
  bool is_tls() const { return tls_ != nullptr; }
  IoResult receive(std::span<std::uint8_t> into);
  // What is beneath TLS, before the handshake: looks at what has arrived, which stays; throws bytes of it away.
  IoResult peek(std::span<std::uint8_t> into);
  void skip(std::size_t count);
  IoResult send(std::span<const iovec> parts);
  // Sends from a regular file; `offset` is not moved. kEnd: the file is shorter than that.
  IoResult send_file(int file, off_t offset, std::size_t count);
  // How much of what was sent waits in the kernel still, or for the peer to acknowledge it; 0: that is not known.
  std::size_t unacknowledged_bytes() const;
  // Tells the peer that no more will be sent; receiving goes on.
  void shutdown_send();
  // With a last word where TLS has one.
  void close();
  // Only gives the descriptor back: the connection lives on in another process.
  void abandon();

  // TLS: goes on with the handshake of either side, as far as it can. kDone (with 0 bytes): both have agreed; input may
  // be there already, see has_buffered_input(). kWouldBlock: wait for the descriptor, wants_write() says for what.
  IoResult handshake();
  // TLS: before both sides have agreed, or after a failure.
  bool is_in_handshake() const;
  // A client's TLS has failed, in the handshake or later (TLS 1.3: a server refuses the client's certificate later):
  // why, with the name of the server; else "". To be asked before close(); in a Channel by
  // ChannelHandler::on_handshake_failed().
  std::string tls_error() const;
  // This was because of who the server is: certificate, name or pin.
  bool tls_verification_failed() const;
  // TLS: input was taken from the kernel already, which a driver will not report.
  bool has_buffered_input() const;
  // TLS: how many records were received since this was asked last.
  std::size_t take_record_count() { return tls_ == nullptr ? 0 : websockets::take_record_count(tls_.get()); }
  // TLS: receive() cannot go on before the descriptor is writable.
  bool wants_write() const { return wants_write_; }
  // A client on a TLS connection whose first byte is not of a TLS handshake: it is spoken to without TLS from here. To
  // be asked before each receive(), until the first byte is there. Never of a server.
  bool fell_back_from_tls();
  // What it was made of, for another stream in place of this one, which is none any more: TLS that begins later, or
  // within TLS.
  struct Parts {
    UniqueFd fd;
    SslSession tls;
  };
  Parts take_apart() { return {std::move(fd_), std::move(tls_)}; }
  // What the peer has shown; none without TLS, and before the handshake.
  Certificate peer_certificate() const;

 private:
  void begin_tls();
  IoResult receive_plain(std::span<std::uint8_t> into, int flags);
  IoResult receive_tls(std::span<std::uint8_t> into);
  IoResult send_tls(std::span<const std::uint8_t> bytes);
  IoResult send_parts_tls(std::span<const iovec> parts);
  IoResult tls_failure(int result);
  void note_tls_failure();
  IoResult send_block_of_file(int file, off_t offset, std::size_t count);

  SslSession tls_;
  UniqueFd fd_;
  bool wants_write_ : 1 = false;
  bool has_begun_ : 1 = false;   // TLS: the peer has sent something, or is a server
  bool is_starved_ : 1 = false;  // TLS: what was taken from the kernel is no whole record
  bool is_broken_ : 1 = false;   // TLS: nothing more may be sent
  bool is_nested_ : 1 = false;   // TLS within TLS
};

}  // namespace websockets
