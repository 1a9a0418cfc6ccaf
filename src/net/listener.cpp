// SPDX-License-Identifier: MIT
#include "net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <iterator>
#include <system_error>
#include <utility>

#include "net/stream_socket.h"

#if defined(__linux__) && !defined(WEBSOCKETS_PORTABLE)
#define WEBSOCKETS_HAVE_ACCEPT4
#define WEBSOCKETS_SPREADS_CLIENTS
#endif

namespace websockets {
namespace {

// The port that one address of a host got may be taken at another.
constexpr int kPortAttempts = 16;

Error listen_error(const SocketAddress& address) { return system_error("cannot listen on " + address.text()); }

UniqueFd accept_one(int listener, SocketAddress& peer) {
#ifdef WEBSOCKETS_HAVE_ACCEPT4
  // TCP_NODELAY is inherited from the listener.
  return UniqueFd(::accept4(listener, peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
#else
  UniqueFd fd(::accept(listener, peer.get(), &peer.size));
  if (!fd) return fd;
  make_non_blocking(fd.get());
  set_socket_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
#ifdef SO_NOSIGPIPE
  set_socket_option(fd.get(), SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
  return fd;
#endif
}

// A socket that a server left behind when it was killed: nobody answers there. Any other file is not ours to replace.
bool is_stale(const SocketAddress& address, const char* path) {
  struct stat info {};
  if (::lstat(path, &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  const UniqueFd probe = open_stream_socket(AF_UNIX);
  return probe && ::connect(probe.get(), address.get(), address.size) != 0 && errno == ECONNREFUSED;
}

bool bind_unix(int fd, const SocketAddress& address, mode_t mode, SocketFile& file) {
  const char* const path = reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path;
  bool bound = ::bind(fd, address.get(), address.size) == 0;
  if (!bound && errno == EADDRINUSE) {
    if (!is_stale(address, path)) {
      errno = EADDRINUSE;
      return false;
    }
    ::unlink(path);
    bound = ::bind(fd, address.get(), address.size) == 0;
  }
  if (!bound) return false;
  file = SocketFile(address);
  return ::chmod(path, mode) == 0;  // nobody can connect before it listens
}

bool parse_number(const std::string& text, int most, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 && number <= most;
}

Result<Listener> adopt_listener(const std::string& where) {
  int number = -1;
  int listens = 0;
  socklen_t size = sizeof listens;
  if (!parse_number(where.substr(3), 1 << 20, number) ||
      ::getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
    return Error{"'" + where + "' is not a socket that listens"};
  }
  make_non_blocking(number);
  set_socket_option(number, IPPROTO_TCP, TCP_NODELAY, 1);
  return Listener{UniqueFd(number), {}, where};
}

// Without `takes_ipv4` [::] is for IPv6 alone, so that it can stand beside 0.0.0.0, in any order.
std::string name_of(const SocketAddress& address, bool takes_ipv4) {
  return takes_ipv4 ? "*:" + std::to_string(address.port()) : address.text();
}

// A socket that is bound, and does not listen yet.
Result<Listener> bind_listener(const SocketAddress& address, const ListenOptions& options, bool takes_ipv4) {
  UniqueFd fd = open_stream_socket(address.storage.ss_family);
  if (!fd) return listen_error(address);
  if (!address.is_unix()) {
    set_socket_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    set_socket_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  }
  if (address.storage.ss_family == AF_INET6) {
    set_socket_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, address.is_any() && !takes_ipv4 ? 1 : 0);
  }
#ifdef SO_REUSEPORT
  if (options.reuse_port && !address.is_unix()) set_socket_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
#endif
  SocketFile file;
  const bool bound = address.is_unix() ? bind_unix(fd.get(), address, options.unix_mode, file)
                                       : ::bind(fd.get(), address.get(), address.size) == 0;
  if (!bound) return listen_error(address);
  std::string name = name_of(address.is_unix() ? address : local_address(fd.get()), takes_ipv4);
  return Listener{std::move(fd), std::move(file), std::move(name)};
}

Result<Listener> open_listener(const SocketAddress& address, const ListenOptions& options, bool takes_ipv4) {
  Result<Listener> listener = bind_listener(address, options, takes_ipv4);
  if (listener && ::listen(listener->fd.get(), options.backlog) != 0) return listen_error(address);
  return listener;
}

Result<std::vector<Listener>> only(Result<Listener> listener) {
  if (!listener) return listener.error();
  std::vector<Listener> listeners;
  listeners.push_back(std::move(*listener));
  return listeners;
}

// Those of the source, or what `open` gives.
template <typename Open>
Result<std::vector<Listener>> take_or_open(const std::string& name, const ListenOptions& options, Open open) {
  if (options.source != nullptr) {
    std::vector<Listener> given = options.source->take(name);
    if (!given.empty()) return given;
  }
  return only(open());
}

Result<std::vector<Listener>> listen_at_address(const SocketAddress& address, const ListenOptions& options) {
  return take_or_open(address.text(), options, [&] { return listen_on(address, options); });
}

Result<std::vector<Listener>> listen_at_all(std::uint16_t port, const ListenOptions& options) {
  Result<std::vector<Listener>> listeners = take_or_open(name_of(any_address(true, port), true), options, [&] {
    return open_listener(any_address(true, port), options, true);
  });
  const bool has_ipv6 =
      listeners || (listeners.error().code != EAFNOSUPPORT && listeners.error().code != EADDRNOTAVAIL);
  return has_ipv6 ? std::move(listeners) : listen_at_address(any_address(false, port), options);
}

Result<std::vector<Listener>> try_each(std::vector<SocketAddress> addresses, const ListenOptions& options) {
  std::vector<Listener> listeners;
  Error missing{"the host has no address"};
  for (SocketAddress& address : addresses) {
    if (!listeners.empty()) address.set_port(local_address(listeners.front().fd.get()).port());
    Result<std::vector<Listener>> found = listen_at_address(address, options);
    if (found) {
      std::move(found->begin(), found->end(), std::back_inserter(listeners));
    } else if (found.error().code == EADDRNOTAVAIL || found.error().code == EAFNOSUPPORT) {
      missing = found.error();
    } else {
      return found.error();
    }
  }
  if (listeners.empty()) return missing;
  return listeners;
}

// The addresses of one host. They share the port; if it is to be picked, that which the first one gets. Those that this
// machine does not have are left out, as ::1 may be of localhost, unless there is no other.
Result<std::vector<Listener>> listen_on_each(Result<std::vector<SocketAddress>> addresses,
                                             const ListenOptions& options) {
  if (!addresses) return addresses.error();
  Result<std::vector<Listener>> listeners = try_each(*addresses, options);
  const bool picks_port = addresses->front().port() == 0;
  for (int i = 1; i < kPortAttempts && picks_port && listeners.error().code == EADDRINUSE; ++i) {
    listeners = try_each(*addresses, options);
  }
  return listeners;
}

// accept(2): errors of a connection that was lost before it was accepted are to be followed by another try.
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
  return is_of_lost_client(error) ? AcceptStatus::kLost : AcceptStatus::kFailed;
}

}  // namespace

Result<Listener> listen_on(const SocketAddress& address, const ListenOptions& options) {
  return open_listener(address, options, false);
}

Result<std::vector<Listener>> listen_on_interface(const std::string& interface, std::uint16_t port,
                                                  const ListenOptions& options) {
  if (interface.empty()) return listen_at_all(port, options);
  return listen_on_each(interface_addresses(interface, port), options);
}

Result<std::vector<Listener>> listen_at(const std::string& where, const ListenOptions& options) {
  if (where.starts_with("fd:")) return take_or_open(where, options, [&] { return adopt_listener(where); });
  if (where.starts_with("unix:")) {
    const Result<SocketAddress> address = unix_address(where.substr(5));
    return address ? listen_at_address(*address, options) : Result<std::vector<Listener>>(address.error());
  }
  const std::size_t colon = where.rfind(':');
  int port = -1;
  if (colon == std::string::npos || !parse_number(where.substr(colon + 1), 65535, port)) {
    return Error{"'" + where + "' is not host:port (up to 65535), unix:/path or fd:number"};
  }
  std::string host = where.substr(0, colon);
  if (host.empty() || host == "*") return listen_at_all(static_cast<std::uint16_t>(port), options);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return listen_on_each(host_addresses(host, static_cast<std::uint16_t>(port)), options);
}

#ifdef WEBSOCKETS_SPREADS_CLIENTS

Result<Listener> listen_beside(const Listener& first, const ListenOptions& options) {
  const SocketAddress address = local_address(first.fd.get());
  if (address.is_unix() || first.name.starts_with("fd:")) return Error{"this listener is one for all", ENOTSUP};
  set_socket_option(first.fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  ListenOptions same = options;
  same.reuse_port = true;
  return bind_listener(address, same, first.name.starts_with("*:"));
}

#else

Result<Listener> listen_beside(const Listener&, const ListenOptions&) {
  return Error{"this system does not spread clients over listeners", ENOTSUP};
}

#endif

bool ensure_listening(int fd) {
  int listens = 0;
  socklen_t size = sizeof listens;
  const bool is_known = ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0;
  return (is_known && listens != 0) || ::listen(fd, ListenOptions().backlog) == 0;
}

SocketAddress local_address(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  ::getsockname(fd, address.get(), &address.size);
  return address;
}

Accepted accept_from(int listener) {
  Accepted accepted{AcceptStatus::kAccepted, {}, {}};
  accepted.peer.size = sizeof accepted.peer.storage;
  accepted.fd = accept_one(listener, accepted.peer);
  if (!accepted.fd) accepted.status = status_of(errno);
  return accepted;
}

}  // namespace websockets
