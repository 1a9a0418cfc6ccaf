// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "net/result.h"
#include "net/socket_address.h"
#include "net/unique_fd.h"

namespace websockets {

// A non-blocking TCP socket that listens on `address`. `backlog` may be cut by the system (net.core.somaxconn).
Result<UniqueFd> listen_on(const SocketAddress& address, int backlog);

// The same on all addresses of this machine.
Result<UniqueFd> listen_on_all(std::uint16_t port, int backlog);

// The address that a listening socket got.
SocketAddress local_address(int fd);

enum class AcceptStatus : std::uint8_t {
  kAccepted,      // a non-blocking, close-on-exec socket
  kNone,          // nobody is waiting
  kNoDescriptor,  // EMFILE or ENFILE: somebody is waiting, and the process may open no more
  kNoMemory,      // somebody may be waiting, and the system is short of memory
  kFailed,        // the listener itself is broken
};

struct Accepted {
  AcceptStatus status;
  UniqueFd fd;
  SocketAddress peer;
};

// Never blocks. A client that is gone already is passed over.
Accepted accept_from(int listener);

}  // namespace websockets
