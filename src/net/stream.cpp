// SPDX-License-Identifier: MIT
#include "net/stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#include <pthread.h>
#include <sys/sendfile.h>
#define WEBSOCKETS_HAVE_SENDFILE
#endif

#include "base/interrupted.h"
#include "net/socket_flags.h"
#include "net/tls_client_session.h"

namespace websockets {
namespace {

constexpr std::size_t kMaxRecordBytes = 16384;  // RFC 8446 5.1
constexpr std::uint8_t kHandshakeRecord = 22;   // RFC 8446 5.1: how every connection begins

#ifdef WEBSOCKETS_HAVE_SENDFILE
// Holds SIGPIPE back from the calling thread, and takes off what has come meanwhile.
class PipeSignalGuard {
 public:
  PipeSignalGuard() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    // Only one that was blocked before can be pending; it is not ours.
    sigset_t pending;
    was_pending_ =
        sigismember(&before_, SIGPIPE) == 1 && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  }
  ~PipeSignalGuard() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  PipeSignalGuard(const PipeSignalGuard&) = delete;
  PipeSignalGuard& operator=(const PipeSignalGuard&) = delete;

  void take_signal() {
    constexpr timespec kNoWait{};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &kNoWait);
  }

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_;
};

// sendfile(2) knows no MSG_NOSIGNAL, and what the process does at SIGPIPE is not ours to change.
ssize_t sendfile_without_signal(int socket, int file, off_t offset, std::size_t count) {
  PipeSignalGuard guard;
  const ssize_t sent = retry_interrupted([&] {
    off_t from = offset;
    return ::sendfile(socket, file, &from, count);
  });
  const int error = errno;
  // Also when a part was sent: the signal is for the rest then.
  if (sent != static_cast<ssize_t>(count)) guard.take_signal();
  errno = error;
  return sent;
}
#endif

}  // namespace

IoResult Stream::receive(std::span<std::uint8_t> into) {
  return tls_ != nullptr ? receive_tls(into) : receive_plain(into, 0);
}

IoResult Stream::peek(std::span<std::uint8_t> into) { return receive_plain(into, MSG_PEEK); }

void Stream::skip(std::size_t count) {
  std::array<std::uint8_t, 1024> bytes;
  while (count > 0) {
    const IoResult result = receive_plain(std::span(bytes).first(std::min(count, bytes.size())), 0);
    if (result.status != IoStatus::kDone) return;
    count -= result.bytes;
  }
}

IoResult Stream::receive_plain(std::span<std::uint8_t> into, int flags) {
  ssize_t count = retry_interrupted([&] { return ::recv(fd_.get(), into.data(), into.size(), flags); });
  if (count > 0) return {IoStatus::kDone, static_cast<std::size_t>(count)};
  if (count == 0) return {IoStatus::kEnd, 0};
  return io_failure(errno);
}

IoResult Stream::send(std::span<const iovec> parts) {
  if (tls_ != nullptr) return send_parts_tls(parts);
  ssize_t count = retry_interrupted([&] {
    if (parts.size() == 1) return ::send(fd_.get(), parts[0].iov_base, parts[0].iov_len, kNoSignal);
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(std::min<std::size_t>(parts.size(), IOV_MAX));
    return ::sendmsg(fd_.get(), &message, kNoSignal);
  });
  if (count >= 0) return {IoStatus::kDone, static_cast<std::size_t>(count)};
  return io_failure(errno);
}

// For TLS, and where the system cannot send from the file itself.
IoResult Stream::send_block_of_file(int file, off_t offset, std::size_t count) {
  std::array<std::uint8_t, 16384> block;
  const ssize_t got =
      retry_interrupted([&] { return ::pread(file, block.data(), std::min(count, block.size()), offset); });
  if (got == 0) return {IoStatus::kEnd, 0};
  if (got < 0) return {IoStatus::kFailed, 0};
  const iovec part{block.data(), static_cast<std::size_t>(got)};
  return send({&part, 1});
}

IoResult Stream::send_file(int file, off_t offset, std::size_t count) {
#ifdef WEBSOCKETS_HAVE_SENDFILE
  if (tls_ == nullptr) {
    const ssize_t sent = sendfile_without_signal(fd_.get(), file, offset, count);
    if (sent > 0) return {IoStatus::kDone, static_cast<std::size_t>(sent)};
    if (sent == 0) return {IoStatus::kEnd, 0};
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {IoStatus::kWouldBlock, 0};
    // Some file systems cannot do it, some sandboxes do not allow it. Of a connection that is lost, send() says so.
  }
#endif
  return send_block_of_file(file, offset, count);
}

// --- TLS ---

void Stream::begin_tls() {
  has_begun_ = SSL_is_server(tls_.get()) == 0;
  is_nested_ = session_below(tls_.get()) != nullptr;
}

IoResult Stream::tls_failure(int result) {
  const int error = SSL_get_error(tls_.get(), result);
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  is_starved_ = error == SSL_ERROR_WANT_READ;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    ERR_clear_error();
    return {IoStatus::kWouldBlock, 0};
  }
  if (error != SSL_ERROR_ZERO_RETURN) note_tls_failure();
  ERR_clear_error();
  if (error == SSL_ERROR_ZERO_RETURN) return {IoStatus::kEnd, 0};
  return {IoStatus::kFailed, 0, socket_error(tls_.get())};
}

void Stream::note_tls_failure() {
  is_broken_ = true;
  if (TlsClientSession* const client = TlsClientSession::of(tls_.get())) client->note_failure(*tls_);
}

IoResult Stream::handshake() {
  ERR_clear_error();  // others in this process may have left something
  const int result = SSL_do_handshake(tls_.get());
  if (result == 1) {
    wants_write_ = is_starved_ = false;
    return {IoStatus::kDone, 0};
  }
  const IoResult failure = tls_failure(result);
  if (failure.status != IoStatus::kEnd) return failure;
  note_tls_failure();
  return {IoStatus::kFailed, 0};
}

std::string Stream::tls_error() const {
  const TlsClientSession* const client = tls_ == nullptr ? nullptr : TlsClientSession::of(tls_.get());
  return client == nullptr ? "" : client->failure_text(*tls_);
}

bool Stream::tls_verification_failed() const {
  const TlsClientSession* const client = tls_ == nullptr ? nullptr : TlsClientSession::of(tls_.get());
  return client != nullptr && client->has_failed_verification(*tls_);
}

bool Stream::is_in_handshake() const { return tls_ != nullptr && SSL_is_init_finished(tls_.get()) == 0; }

IoResult Stream::receive_tls(std::span<std::uint8_t> into) {
  ERR_clear_error();  // others in this process may have left something
  std::size_t count = 0;
  const int result = SSL_read_ex(tls_.get(), into.data(), into.size(), &count);
  if (result != 1) return tls_failure(result);
  wants_write_ = is_starved_ = false;
  return {IoStatus::kDone, count};
}

// What OpenSSL was given and could not send it has encrypted already: it must be given the same bytes again, or the
// same and more. They are at the front of the connection's output still.
IoResult Stream::send_tls(std::span<const std::uint8_t> bytes) {
  if (is_broken_) return {IoStatus::kFailed, 0};
  ERR_clear_error();
  std::size_t count = 0;
  const int result = SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &count);
  if (result == 1) return {IoStatus::kDone, count};
  // To be able to send is waited for anyway; these are about receiving.
  const bool wanted_write = wants_write_;
  const bool was_starved = is_starved_;
  IoResult failure = tls_failure(result);
  wants_write_ = wanted_write;
  is_starved_ = was_starved;
  // How OpenSSL calls every failure once the peer has said that it sends no more.
  if (failure.status == IoStatus::kEnd) {
    is_broken_ = true;
    failure.status = IoStatus::kFailed;
  }
  return failure;
}

// One record of all parts that fit into it.
IoResult Stream::send_parts_tls(std::span<const iovec> parts) {
  std::array<std::uint8_t, kMaxRecordBytes> record;
  std::size_t size = 0;
  for (const iovec& part : parts) {
    const std::size_t taken = std::min(part.iov_len, record.size() - size);
    if (taken == record.size()) return send_tls({static_cast<const std::uint8_t*>(part.iov_base), taken});
    std::memcpy(record.data() + size, part.iov_base, taken);
    size += taken;
  }
  return send_tls({record.data(), size});
}

bool Stream::has_buffered_input() const {
  if (tls_ == nullptr || is_starved_) return false;
  return SSL_has_pending(tls_.get()) == 1 || (is_nested_ && SSL_has_pending(session_below(tls_.get())) == 1);
}

bool Stream::fell_back_from_tls() {
  std::uint8_t first;
  if (tls_ == nullptr || has_begun_) return false;
  // What comes between a look in vain and OpenSSL's is its; what follows need not be of the handshake.
  has_begun_ = BIO_number_read(SSL_get_rbio(tls_.get())) > 0;
  if (has_begun_ || ::recv(fd_.get(), &first, 1, MSG_PEEK) != 1) return false;
  has_begun_ = true;
  if (first == kHandshakeRecord) return false;
  tls_.reset();
  return true;
}

Certificate Stream::peer_certificate() const {
  return Certificate(tls_ == nullptr ? nullptr : SSL_get1_peer_certificate(tls_.get()));
}

std::size_t Stream::unacknowledged_bytes() const {
  int bytes = 0;
  return ::ioctl(fd_.get(), TIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

void Stream::shutdown_send() {
  if (tls_ != nullptr && !is_broken_ && SSL_is_init_finished(tls_.get()) == 1) {
    SSL_shutdown(tls_.get());  // close_notify (RFC 8446 6.1)
    if (is_nested_) SSL_shutdown(session_below(tls_.get()));
    ERR_clear_error();
    is_broken_ = true;
  }
  ::shutdown(fd_.get(), SHUT_WR);
}

void Stream::close() {
  if (tls_ != nullptr) shutdown_send();
  abandon();
}

void Stream::abandon() {
  tls_.reset();
  fd_.reset();
}

}  // namespace websockets
