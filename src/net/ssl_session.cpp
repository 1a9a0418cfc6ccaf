// SPDX-License-Identifier: MIT
#include "net/ssl_session.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <new>
#include <utility>

#include "net/socket_flags.h"

namespace websockets {

// What was agreed may be resumed, whether the connection ended with a word or not (RFC 4346 7.2.1 has dropped that
// rule, OpenSSL has not), unless there was a fatal alert.
void SslDeleter::operator()(ssl_st* ssl) const {
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN);
  SSL_free(ssl);
}
void SslDeleter::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

namespace {

// What the BIO of a session owns. OpenSSL's own BIO of a socket uses write(2), which raises SIGPIPE.
struct TlsSocket {
  int fd;
  int error = 0;
  SslSession below;
  std::size_t record_count = 0;
  std::size_t costly_count = 0;  // of messages that cost more than it takes to send them
};

TlsSocket& socket_of(BIO* bio) { return *static_cast<TlsSocket*>(BIO_get_data(bio)); }

// --- On the socket itself ---

int write_socket(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::send(socket_of(bio).fd, data, static_cast<std::size_t>(size), kNoSignal);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS)) {
    BIO_set_retry_write(bio);
  } else if (count < 0) {
    socket_of(bio).error = errno;
  }
  return static_cast<int>(count);
}

int read_socket(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::recv(socket_of(bio).fd, data, static_cast<std::size_t>(size), 0);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    BIO_set_retry_read(bio);
  } else if (count < 0) {
    socket_of(bio).error = errno;
  }
  return static_cast<int>(count);
}

// --- Within another session ---

// What the one below waits for, this one does. 0: it has come to its end.
int note_failure_below(BIO* bio, int result) {
  switch (SSL_get_error(socket_of(bio).below.get(), result)) {
    case SSL_ERROR_WANT_READ:
      BIO_set_retry_read(bio);
      return -1;
    case SSL_ERROR_WANT_WRITE:
      BIO_set_retry_write(bio);
      return -1;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      socket_of(bio).error = socket_error(socket_of(bio).below.get());
      return -1;
  }
}

int write_below(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  std::size_t count = 0;
  const int result = SSL_write_ex(socket_of(bio).below.get(), data, static_cast<std::size_t>(size), &count);
  return result == 1 ? static_cast<int>(count) : note_failure_below(bio, result);
}

int read_below(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  std::size_t count = 0;
  const int result = SSL_read_ex(socket_of(bio).below.get(), data, static_cast<std::size_t>(size), &count);
  return result == 1 ? static_cast<int>(count) : note_failure_below(bio, result);
}

// --- Making one ---

long control_bio(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int destroy_bio(BIO* bio) {
  delete static_cast<TlsSocket*>(BIO_get_data(bio));
  return 1;
}

// Throws std::bad_alloc.
BIO_METHOD* make_method(const char* name, int (*write)(BIO*, const char*, int), int (*read)(BIO*, char*, int)) {
  BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, name);
  if (made == nullptr) throw std::bad_alloc();
  BIO_meth_set_write(made, write);
  BIO_meth_set_read(made, read);
  BIO_meth_set_ctrl(made, control_bio);
  BIO_meth_set_destroy(made, destroy_bio);
  return made;
}

// Throw std::bad_alloc; then it is made the next time.
BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = make_method("websockets socket", write_socket, read_socket);
  return method;
}
BIO_METHOD* below_method() {
  static BIO_METHOD* const method = make_method("websockets TLS within TLS", write_below, read_below);
  return method;
}

// --- What a peer could keep this side busy with ---

// A peer may change its keys, ask for a handshake that is refused, or give out tickets, whenever it likes: each time
// costs as much as a hundred frames, and one call of OpenSSL takes them all. Who changes them after as many bytes as
// RFC 8446 5.5 has in mind is far below this.
constexpr std::size_t kFreeCostlyMessages = 32;
constexpr std::uint64_t kBytesPerCostlyMessage = std::uint64_t{1} << 20U;

bool is_costly(unsigned message) {
  return message == SSL3_MT_KEY_UPDATE || message == SSL3_MT_CLIENT_HELLO || message == SSL3_MT_HELLO_REQUEST ||
         message == SSL3_MT_NEWSESSION_TICKET;
}

void note_message(int is_sent, int, int type, const void* data, std::size_t size, SSL* ssl, void*) {
  if (is_sent != 0) return;
  BIO* const bio = SSL_get_rbio(ssl);
  if (type == SSL3_RT_HEADER) ++socket_of(bio).record_count;
  if (type != SSL3_RT_HANDSHAKE || size == 0) return;
  if (!is_costly(*static_cast<const unsigned char*>(data))) return;
  const std::uint64_t most = kFreeCostlyMessages + BIO_number_read(bio) / kBytesPerCostlyMessage;
  if (++socket_of(bio).costly_count > most) SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);  // it reads no more
}

// So much of a session within another one becomes one record of that, too.
constexpr long kNestedRecordBytes = 16000;

}  // namespace

SslSession new_ssl_session(ssl_ctx_st& context, int fd, SslSession below) {
  const bool is_nested = below != nullptr;
  BIO_METHOD* const method = is_nested ? below_method() : socket_method();
  auto socket = std::make_unique<TlsSocket>(TlsSocket{.fd = fd, .below = std::move(below)});
  SslSession session(SSL_new(&context));
  BIO* bio = BIO_new(method);
  if (session == nullptr || bio == nullptr) {
    BIO_free(bio);
    throw std::bad_alloc();
  }
  BIO_set_data(bio, socket.release());
  BIO_set_init(bio, 1);
  SSL_set_bio(session.get(), bio, bio);
  if (is_nested) SSL_set_max_send_fragment(session.get(), kNestedRecordBytes);
  return session;
}

ssl_st* session_below(const ssl_st* session) { return socket_of(SSL_get_rbio(session)).below.get(); }

void count_messages(ssl_ctx_st& context) { SSL_CTX_set_msg_callback(&context, note_message); }

std::size_t take_record_count(ssl_st* session) {
  return std::exchange(socket_of(SSL_get_rbio(session)).record_count, 0);
}

int socket_error(const ssl_st* session) { return socket_of(SSL_get_rbio(session)).error; }

}  // namespace websockets
