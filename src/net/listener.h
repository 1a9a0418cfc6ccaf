// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "net/socket_address.h"
#include "net/socket_file.h"

namespace websockets {

class ListenerSource;

struct ListenOptions {
  int backlog = 16384;  // may be cut by the system (net.core.somaxconn)
  bool reuse_port = false;
  mode_t unix_mode = 0666;
  ListenerSource* source = nullptr;  // is asked first, for listeners that this process was given
};

// A socket that listens, and the file that belongs to it: none for TCP, and when it was inherited.
struct Listener {
  UniqueFd fd;
  SocketFile file;
  std::string name;  // "192.0.2.1:80", "[::]:80" (IPv6 only), "*:80", "unix:/path", "fd:3"
};

// Where listeners of a name may be had without opening them.
class ListenerSource {
 public:
  // All that have this name; none: it has to be opened.
  virtual std::vector<Listener> take(const std::string& name) = 0;

 protected:
  ~ListenerSource() = default;
};

// A new, non-blocking socket that listens on `address`; on [::] for IPv6 only. The file of a unix socket on which
// nobody listens any more is replaced.
Result<Listener> listen_on(const SocketAddress& address, const ListenOptions& options);

// Listeners on the addresses of an interface: see interface_addresses(); "": all. New ones, or those of the source.
Result<std::vector<Listener>> listen_on_interface(const std::string& interface, std::uint16_t port,
                                                  const ListenOptions& options);

// The same on "host:port", "[::1]:port", "eth0:port", ":port" or "*:port" for all addresses, "unix:/path", "fd:3" for a
// listening socket that the process has inherited. Port 0: any that is free, and always a new one.
Result<std::vector<Listener>> listen_at(const std::string& where, const ListenOptions& options);

// One more at the address of `first`, which was bound to alone. It does not listen yet: once it does, the system
// spreads the clients over all that listen there, each of which has a queue of its own. Error: it does not (ENOTSUP:
// for no socket of this kind).
Result<Listener> listen_beside(const Listener& first, const ListenOptions& options);

// Has one listen that does not do so yet. False: it cannot.
bool ensure_listening(int fd);

// The address that a listening socket got.
SocketAddress local_address(int fd);

enum class AcceptStatus : std::uint8_t {
  kAccepted,      // a non-blocking, close-on-exec socket
  kNone,          // nobody is waiting
  kLost,          // somebody was waiting, and is gone
  kNoDescriptor,  // EMFILE or ENFILE: somebody is waiting, and the process may open no more
  kFailed,        // for any other reason: memory is short, a policy forbids it, the listener itself is broken
};

struct Accepted {
  AcceptStatus status;
  UniqueFd fd;
  SocketAddress peer;
};

// By one system call, which never blocks.
Accepted accept_from(int listener);

}  // namespace websockets
