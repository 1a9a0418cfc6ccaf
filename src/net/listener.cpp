// SPDX-License-Identifier: MIT
#include "net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#define WEBSOCKETS_HAVE_ACCEPT4
#endif

namespace websockets {
namespace {

Error system_error(const SocketAddress& address) {
  const int code = errno;
  return {"cannot listen on " + address.text() + ": " + std::generic_category().message(code), code};
}

void set_option(int fd, int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); }

#ifndef WEBSOCKETS_HAVE_ACCEPT4
void make_non_blocking(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}
#endif

UniqueFd open_stream_socket(int family) {
#ifdef WEBSOCKETS_HAVE_ACCEPT4
  return UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
#else
  UniqueFd fd(::socket(family, SOCK_STREAM, 0));
  if (fd) make_non_blocking(fd.get());
  return fd;
#endif
}

UniqueFd accept_one(int listener, SocketAddress& peer) {
#ifdef WEBSOCKETS_HAVE_ACCEPT4
  // TCP_NODELAY is inherited from the listener.
  return UniqueFd(::accept4(listener, peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
#else
  UniqueFd fd(::accept(listener, peer.get(), &peer.size));
  if (!fd) return fd;
  make_non_blocking(fd.get());
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
#ifdef SO_NOSIGPIPE
  set_option(fd.get(), SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
  return fd;
#endif
}

// accept(2): errors of a connection that was lost before it was accepted must be treated like EAGAIN by retrying.
bool is_of_lost_client(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EPERM:
#ifdef ENONET
    case ENONET:
#endif
      return true;
    default:
      return false;
  }
}

AcceptStatus status_of(int error) {
  if (error == EAGAIN || error == EWOULDBLOCK) return AcceptStatus::kNone;
  if (error == EMFILE || error == ENFILE) return AcceptStatus::kNoDescriptor;
  if (error == ENOBUFS || error == ENOMEM) return AcceptStatus::kNoMemory;
  return AcceptStatus::kFailed;
}

}  // namespace

Result<UniqueFd> listen_on(const SocketAddress& address, int backlog) {
  UniqueFd fd = open_stream_socket(address.storage.ss_family);
  if (!fd) return system_error(address);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (address.storage.ss_family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(fd.get(), address.get(), address.size) != 0) return system_error(address);
  if (::listen(fd.get(), backlog) != 0) return system_error(address);
  return fd;
}

Result<UniqueFd> listen_on_all(std::uint16_t port, int backlog) {
  Result<UniqueFd> listener = listen_on(any_address(true, port), backlog);
  const bool has_ipv6 = listener || (listener.error().code != EAFNOSUPPORT && listener.error().code != EADDRNOTAVAIL);
  return has_ipv6 ? std::move(listener) : listen_on(any_address(false, port), backlog);
}

SocketAddress local_address(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  ::getsockname(fd, address.get(), &address.size);
  return address;
}

Accepted accept_from(int listener) {
  Accepted accepted{AcceptStatus::kAccepted, {}, {}};
  do {
    accepted.peer.size = sizeof accepted.peer.storage;
    accepted.fd = accept_one(listener, accepted.peer);
  } while (!accepted.fd && is_of_lost_client(errno));
  if (!accepted.fd) accepted.status = status_of(errno);
  return accepted;
}

}  // namespace websockets
