// SPDX-License-Identifier: MIT
#include "socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "support.h"

namespace {

// An address has 28 000 ports for clients by default; there are more addresses of the machine itself.
constexpr std::uint32_t kConnectionsPerAddress = 16'384;
constexpr std::uint32_t kAddresses = 64;

sockaddr_in loopback_address(std::uint32_t number, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number);
  return address;
}

void set_option(int fd, int level, int name) {
  const int on = 1;
  ::setsockopt(fd, level, name, &on, sizeof on);
}

// The system chooses the port not before connect(), when it knows which ones are free for this server.
void bind_to_next_address(int fd) {
  static std::uint32_t connections = 0;
  const std::uint32_t number = connections++ / kConnectionsPerAddress % kAddresses;
  if (number == 0) return;
  set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
  const sockaddr_in address = loopback_address(number, 0);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die_of_error("bind");
}

}  // namespace

bool Socket::connect(const Target& target) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) die_of_error("socket");
  set_option(fd_, IPPROTO_TCP, TCP_NODELAY);
  bind_to_next_address(fd_);
  if (target.tls != nullptr) {
    tls_ = SSL_new(target.tls);
    if (tls_ == nullptr || SSL_set_fd(tls_, fd_) != 1) die("no memory for TLS");
  }
  const sockaddr_in address = loopback_address(0, target.port);
  return ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EINPROGRESS;
}

Socket::Step Socket::finish_connect() {
  if (!is_connected_) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Step::kFailed;
    is_connected_ = true;
  }
  if (tls_ == nullptr) return Step::kDone;
  ERR_clear_error();
  const int result = SSL_connect(tls_);
  if (result == 1) return Step::kDone;
  switch (SSL_get_error(tls_, result)) {
    case SSL_ERROR_WANT_READ:
      return Step::kWaitsForInput;
    case SSL_ERROR_WANT_WRITE:
      return Step::kWaitsForOutput;
    default:
      return Step::kFailed;
  }
}

void Socket::close() {
  SSL_free(tls_);
  if (fd_ >= 0) ::close(fd_);
  tls_ = nullptr;
  fd_ = -1;
  is_connected_ = false;
}

void Socket::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

std::optional<std::size_t> Socket::send(std::string_view bytes) {
  if (tls_ == nullptr) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? std::optional<std::size_t>(0) : std::nullopt;
    return static_cast<std::size_t>(sent);
  }
  // A record at a time.
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    ERR_clear_error();
    std::size_t part = 0;
    const int result = SSL_write_ex(tls_, bytes.data() + sent, bytes.size() - sent, &part);
    if (result != 1) return SSL_get_error(tls_, result) == SSL_ERROR_WANT_WRITE ? std::optional(sent) : std::nullopt;
    sent += part;
  }
  return sent;
}

std::optional<std::size_t> Socket::receive(char* to, std::size_t most) {
  if (tls_ == nullptr) {
    const ssize_t received = ::recv(fd_, to, most, 0);
    if (received < 0) return errno == EAGAIN ? std::optional<std::size_t>(0) : std::nullopt;
    return received == 0 ? std::nullopt : std::optional(static_cast<std::size_t>(received));
  }
  // Whole records: no event tells of what is left of one.
  std::size_t received = 0;
  while (most - received >= SSL3_RT_MAX_PLAIN_LENGTH) {
    ERR_clear_error();
    std::size_t part = 0;
    const int result = SSL_read_ex(tls_, to + received, most - received, &part);
    if (result != 1) {
      const bool is_blocked = SSL_get_error(tls_, result) == SSL_ERROR_WANT_READ;
      return is_blocked || received > 0 ? std::optional(received) : std::nullopt;
    }
    received += part;
  }
  return received;
}

SSL_CTX* make_tls_context() {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) die("no TLS");
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  return context;
}
