// SPDX-License-Identifier: MIT
#include "net/stream_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#define WEBSOCKETS_HAVE_SOCKET_FLAGS
#endif

namespace websockets {
namespace {

SocketAddress name_of_end(int fd, int (*get)(int, sockaddr*, socklen_t*)) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (get(fd, address.get(), &address.size) != 0) address.size = 0;
  return address;
}

// A port of this machine where nobody listens may be the one that the system gives to the client's own end
// (RFC 9293 3.5, simultaneous open).
bool is_connected_to_itself(int fd, const SocketAddress& peer) {
  const SocketAddress own = name_of_end(fd, ::getsockname);
  return !peer.is_unix() && own.size == peer.size && std::memcmp(&own.storage, &peer.storage, own.size) == 0;
}

}  // namespace

void make_non_blocking(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

Result<std::array<UniqueFd, 2>> make_socket_pair(const std::string& what) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) != 0) return system_error(what);
  std::array<UniqueFd, 2> ends{UniqueFd(pair[0]), UniqueFd(pair[1])};
  for (const UniqueFd& end : ends) {
    make_non_blocking(end.get());
#ifdef SO_NOSIGPIPE
    set_socket_option(end.get(), SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
  }
  return ends;
}

void set_socket_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

UniqueFd open_stream_socket(int family) {
#ifdef WEBSOCKETS_HAVE_SOCKET_FLAGS
  return UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
#else
  UniqueFd fd(::socket(family, SOCK_STREAM, 0));
  if (fd) make_non_blocking(fd.get());
  return fd;
#endif
}

Connecting begin_connecting(const SocketAddress& address, const SocketAddress* source) {
  UniqueFd fd = open_stream_socket(address.storage.ss_family);
  if (!fd) return {ConnectStatus::kFailed, {}, errno};
  if (!address.is_unix()) set_socket_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
#ifdef SO_NOSIGPIPE
  set_socket_option(fd.get(), SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
  if (source != nullptr) {
#if defined(IP_BIND_ADDRESS_NO_PORT) && !defined(WEBSOCKETS_PORTABLE)
    // Two connections to different servers may come from the same port.
    set_socket_option(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
#endif
    if (::bind(fd.get(), source->get(), source->size) != 0) return {ConnectStatus::kFailed, {}, errno};
  }
  if (::connect(fd.get(), address.get(), address.size) != 0) {
    // What a signal interrupts goes on (POSIX).
    if (errno == EINPROGRESS || errno == EINTR) return {ConnectStatus::kPending, std::move(fd)};
    if (errno == EAGAIN && address.is_unix()) return {ConnectStatus::kBusy, {}};
    return {ConnectStatus::kFailed, {}, errno};
  }
  int error = 0;
  const ConnectStatus status = finish_connecting(fd.get(), error);
  if (status == ConnectStatus::kFailed) fd.reset();
  return {status, std::move(fd), error};
}

ConnectStatus finish_connecting(int fd, int& error) {
  socklen_t size = sizeof error;
  error = 0;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return ConnectStatus::kFailed;
  const SocketAddress peer = name_of_end(fd, ::getpeername);
  if (peer.size == 0) return ConnectStatus::kPending;
  if (!is_connected_to_itself(fd, peer)) return ConnectStatus::kConnected;
  error = ECONNREFUSED;
  return ConnectStatus::kFailed;
}

}  // namespace websockets
